import math
import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(35)
text = open("data/text/shakespeare_7plays.txt", encoding="utf-8").read()[:120_000].lower()
chars = sorted(set(text))
ids = torch.tensor([chars.index(c) for c in text])
cut = int(0.9 * len(ids))
train_ids, val_ids = ids[:cut], ids[cut:]
CTX, V, D = 12, len(chars), 24


def windows(t):
    w = t.unfold(0, CTX + 1, 1)
    return w[:, :CTX], w[:, CTX]


class CharLM(nn.Module):
    """Bengio-style language model; the output layer shares the embedding."""

    def __init__(self, hidden=128):
        super().__init__()
        self.emb = nn.Embedding(V, D)
        self.h = nn.Linear(CTX * D, hidden)
        self.proj = nn.Linear(hidden, D)
        self.bias = nn.Parameter(torch.zeros(V))
        nn.init.normal_(self.emb.weight, std=0.4)

    def forward(self, x):
        h = torch.tanh(self.h(self.emb(x).flatten(1)))
        return self.proj(h) @ self.emb.weight.t() + self.bias


xt, yt = windows(train_ids)
xv, yv = windows(val_ids)
xv, yv = xv[::4], yv[::4]
model = CharLM()
opt = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.01)
steps, per_eval = 900, 150
sched = torch.optim.lr_scheduler.LambdaLR(opt, lambda s: min(1, (s + 1) / 50) * 0.5 * (1 + math.cos(math.pi * s / steps)))
print(f"{V} characters, uniform loss {math.log(V):.3f}")

total = 0.0
for step in range(1, steps + 1):
    model.train()
    i = torch.randint(len(xt), (128,))
    loss = F.cross_entropy(model(xt[i]), yt[i])
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    opt.step()
    sched.step()
    total += loss.item()
    if step % per_eval == 0:
        model.eval()
        with torch.no_grad():
            v = F.cross_entropy(model(xv), yv).item()
        print(f"step {step}: train {total / per_eval:.3f} val {v:.3f} perplexity {math.exp(v):.2f}")
        total = 0.0
