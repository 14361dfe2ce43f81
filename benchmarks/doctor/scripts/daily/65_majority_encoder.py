# Encoder on symbol sequences: which of four symbols occurs most often?
import math
import torch
from torch import nn

torch.manual_seed(5)
S, L, N = 4, 17, 3600
x = torch.randint(S, (N, L))
counts = torch.stack([(x == s).sum(1) for s in range(S)], 1)
top = counts.sort(1, descending=True).values
keep = top[:, 0] > top[:, 1]
x, y = x[keep], counts.argmax(1)[keep]
n_tr = 1600
xt, yt, xv, yv = x[:n_tr], y[:n_tr], x[n_tr:], y[n_tr:]


class Counter(nn.Module):
    def __init__(self, d=32):
        super().__init__()
        self.emb = nn.Embedding(S, d)
        self.cls = nn.Parameter(torch.randn(1, 1, d) * 0.02)
        layer = nn.TransformerEncoderLayer(d, 2, 64, dropout=0.05, batch_first=True, activation="gelu")
        self.enc = nn.TransformerEncoder(layer, 2)
        self.head = nn.Linear(d, S)

    def forward(self, ids):
        h = torch.cat([self.cls.expand(len(ids), -1, -1), self.emb(ids)], 1)
        return self.head(self.enc(h)[:, 0])


model = Counter()
epochs, bs = 8, 50
steps = epochs * math.ceil(n_tr / bs)
warm = steps // 10
opt = torch.optim.AdamW(model.parameters(), lr=3e-3, betas=(0.9, 0.98), weight_decay=0.01)
sched = torch.optim.lr_scheduler.LambdaLR(
    opt, lambda s: (s + 1) / warm if s < warm else 0.5 * (1 + math.cos(math.pi * (s - warm) / (steps - warm))))
ce = nn.CrossEntropyLoss()
for epoch in range(epochs):
    model.train()
    total = 0.0
    for b in torch.randperm(n_tr).split(bs):
        loss = ce(model(xt[b]), yt[b])
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        sched.step()
        total += loss.item() * len(b)
    model.eval()
    with torch.no_grad():
        acc = (model(xv).argmax(1) == yv).float().mean().item()
    print(f"epoch {epoch} lr {sched.get_last_lr()[0]:.5f} train loss {total / n_tr:.4f} val acc {acc:.4f}")
