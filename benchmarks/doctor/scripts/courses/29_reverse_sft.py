"""SFT with the prompt masked: reverse a word or repeat it, as the instruction says."""
import random
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader

random.seed(110)
torch.manual_seed(110)
CH = "abcdefgh=#._"
T = {c: i for i, c in enumerate(CH)}
SIZE = 14


def make():
    w = "".join(random.choice("abcdefgh") for _ in range(random.choice((4, 5))))
    op = random.choice("=#")
    ans = w if op == "=" else w[::-1]
    p, a = [T[c] for c in op + w + "."], [T[c] for c in ans + "."]
    ids, lab = p + a, [-100] * len(p) + a
    return ids + [T["_"]] * (SIZE - len(ids)), lab + [-100] * (SIZE - len(lab))


rows = []
while len(rows) < 2800:
    r = make()
    if r not in rows:
        rows.append(r)
train, val = rows[300:], rows[:300]
stack = lambda b: (torch.tensor([r[0] for r in b]), torch.tensor([r[1] for r in b]))
loader = DataLoader(train, batch_size=50, shuffle=True, collate_fn=stack)


class Net(nn.Module):
    def __init__(self, d=32, h=96):
        super().__init__()
        self.emb, self.rnn, self.out = nn.Embedding(len(CH), d), nn.GRU(d, h, batch_first=True), nn.Linear(h, len(CH))

    def forward(self, x):
        return self.out(self.rnn(self.emb(x))[0])


model = Net()
opt = torch.optim.Adam(model.parameters(), lr=8e-3)
xv, lv = stack(val)
for epoch in range(10):
    model.train()
    s = 0.0
    for x, lab in loader:
        logits = model(x[:, :-1])
        loss = F.cross_entropy(logits.flatten(0, 1), lab[:, 1:].flatten(), ignore_index=-100)
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        s += loss.item()
    model.eval()
    with torch.no_grad():
        logits, tgt = model(xv[:, :-1]), lv[:, 1:]
        v = F.cross_entropy(logits.flatten(0, 1), tgt.flatten(), ignore_index=-100).item()
        right = ((logits.argmax(-1) == tgt) | (tgt == -100)).all(1).float().mean().item()
    print(f"epoch {epoch} train {s / len(loader):.3f} val {v:.3f} whole answers right {right:.3f}")
