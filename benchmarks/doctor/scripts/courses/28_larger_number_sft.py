"""Supervised fine-tuning data in miniature: '17,52>' -> '52.', loss on the answer only."""
import random
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader

random.seed(19)
torch.manual_seed(19)
SYMBOLS = "0123456789,>.|"          # '.' ends the answer, '|' pads
tok = {c: i for i, c in enumerate(SYMBOLS)}
PAD, LEN = tok["|"], 8


def encode(a, b):
    prompt = [tok[c] for c in f"{a:02d},{b:02d}>"]
    answer = [tok[c] for c in f"{max(a, b):02d}."]
    ids = prompt + answer
    labels = [-100] * (len(prompt) + 1) + answer[1:]
    gap = LEN + 1 - len(ids)
    return ids + [PAD] * gap, labels + [-100] * gap


pairs = [(a, b) for a in range(100) for b in range(100)]
random.shuffle(pairs)
pairs = pairs[:3000]
rows = [encode(a, b) for a, b in pairs]
train, val, val_pairs = rows[300:], rows[:300], pairs[:300]


def collate(batch):
    return torch.tensor([r[0] for r in batch]), torch.tensor([r[1] for r in batch])


class TinyLM(nn.Module):
    def __init__(self, d=64):
        super().__init__()
        self.tok = nn.Embedding(len(SYMBOLS), d)
        self.pos = nn.Parameter(torch.randn(LEN + 1, d) * 0.1)
        self.rnn = nn.GRU(d, 96, batch_first=True)
        self.head = nn.Linear(96, len(SYMBOLS))

    def forward(self, x):
        return self.head(self.rnn(self.tok(x) + self.pos[: x.size(1)])[0])


def lm_loss(model, ids, labels):
    logits = model(ids[:, :-1])
    return F.cross_entropy(logits.flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100)


@torch.no_grad()
def exact_match(model):
    x = torch.tensor([r[0][:6] for r in val])
    for _ in range(3):
        x = torch.cat([x, model(x)[:, -1:].argmax(-1)], 1)
    out = ["".join(SYMBOLS[i] for i in row[6:]).split(".")[0] for row in x.tolist()]
    return sum(o == f"{max(a, b):02d}" for o, (a, b) in zip(out, val_pairs)) / len(val)


model = TinyLM()
opt = torch.optim.AdamW(model.parameters(), lr=4e-3)
loader = DataLoader(train, batch_size=64, shuffle=True, collate_fn=collate)
vx, vy = collate(val)
for epoch in range(10):
    model.train()
    total = 0.0
    for ids, labels in loader:
        loss = lm_loss(model, ids, labels)
        opt.zero_grad()
        loss.backward()
        opt.step()
        total += loss.item()
    model.eval()
    with torch.no_grad():
        v = lm_loss(model, vx, vy).item()
    print(f"epoch {epoch}: train {total / len(loader):.3f} val {v:.3f} exact {exact_match(model):.3f}")
