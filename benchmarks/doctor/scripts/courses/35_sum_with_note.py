"""Instruction tuning on a toy task: a random note, a small sum or difference, a short answer."""
import random
import torch
from torch import nn
import torch.nn.functional as F

random.seed(24)
torch.manual_seed(24)
SYM = list("abcdefghijklmnopqrstuvwxyz0123456789:;?>.")
ID = {c: i for i, c in enumerate(SYM)}


def example():
    note = "".join(random.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(14))
    a, b = random.randrange(10), random.randrange(10)
    sign = random.choice(":;")
    value = (a + b) % 10 if sign == ":" else abs(a - b)
    return f"{note}?{a}{sign}{b}>", f"{value}."


def tensorize(rows):
    ids = torch.tensor([[ID[c] for c in p + a] for p, a in rows])
    labels = ids.clone()
    return ids, labels


train_rows, val_rows = [example() for _ in range(2400)], [example() for _ in range(300)]
xtr, ytr = tensorize(train_rows)
xva, yva = tensorize(val_rows)
P = len(train_rows[0][0])


class LM(nn.Module):
    def __init__(self, d=32, h=64):
        super().__init__()
        self.emb = nn.Embedding(len(SYM), d)
        self.gru = nn.GRU(d, h, batch_first=True)
        self.head = nn.Sequential(nn.Linear(h, 64), nn.GELU(), nn.Linear(64, len(SYM)))

    def forward(self, x):
        return self.head(self.gru(self.emb(x))[0])


def loss_on(model, x, y):
    return F.cross_entropy(model(x[:, :-1]).transpose(1, 2), y[:, 1:], ignore_index=-100)


model = LM()
opt = torch.optim.AdamW(model.parameters(), lr=6e-3)
for epoch in range(12):
    model.train()
    total = 0.0
    for idx in torch.randperm(len(xtr)).split(64):
        loss = loss_on(model, xtr[idx], ytr[idx])
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        total += loss.item() * len(idx)
    model.eval()
    with torch.no_grad():
        hit = (model(xva[:, :P])[:, -1].argmax(-1) == xva[:, P]).float().mean().item()
        v = loss_on(model, xva, yva).item()
    print(f"epoch {epoch} train {total / len(xtr):.3f} val {v:.3f} answer accuracy {hit:.3f}")
