"""Character GRU with tied input and output embeddings, gradient clipping, OneCycle."""
import math
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(101)
text = open("data/text/shakespeare_7plays.txt").read()[200000:290000]
vocab = sorted(set(text))
ids = torch.tensor([vocab.index(c) for c in text])
split = 80000
D, SEQ, B = 64, 32, 32


class TiedGRU(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(len(vocab), D)
        nn.init.normal_(self.emb.weight, std=D ** -0.5)
        self.gru = nn.GRU(D, D, batch_first=True)
        self.out = nn.Linear(D, len(vocab))
        self.out.weight = self.emb.weight

    def forward(self, x):
        h, _ = self.gru(self.emb(x) * math.sqrt(D))
        return self.out(h)


def get(lo, hi, g=None):
    s = torch.randint(lo, hi - SEQ - 1, (B, 1), generator=g) + torch.arange(SEQ + 1)
    w = ids[s]
    return w[:, :-1], w[:, 1:]


model = TiedGRU()
opt = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01)
sched = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=1e-2, total_steps=6 * 60)
g = torch.Generator().manual_seed(1)
held_out = [get(split, len(ids), g) for _ in range(10)]
for epoch in range(6):
    model.train()
    tot = 0.0
    for _ in range(60):
        x, y = get(0, split)
        loss = F.cross_entropy(model(x).reshape(-1, len(vocab)), y.reshape(-1))
        opt.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        sched.step()
        tot += loss.item()
    model.eval()
    with torch.no_grad():
        v = sum(F.cross_entropy(model(x).reshape(-1, len(vocab)), y.reshape(-1)).item() for x, y in held_out) / 10
    print(f"epoch {epoch} train {tot / 60:.3f} val {v:.3f} ppl {math.exp(v):.2f}")
