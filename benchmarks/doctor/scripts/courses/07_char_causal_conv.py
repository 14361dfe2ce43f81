"""Character language model with causal convolutions, Shakespeare."""
import math
import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(5)
raw = open("data/text/shakespeare_7plays.txt").read()[20000:180000]
vocab = sorted(set(raw))
code = {c: i for i, c in enumerate(vocab)}
ids = torch.tensor([code[c] for c in raw])
cut = len(ids) * 9 // 10
BLOCK, BATCH = 48, 32


def batch(src):
    s = torch.randint(0, len(src) - BLOCK - 1, (BATCH,))
    ix = s[:, None] + torch.arange(BLOCK + 1)
    w = src[ix]
    return w[:, :-1], w[:, 1:]


class CausalBlock(nn.Module):
    def __init__(self, d, dilation):
        super().__init__()
        self.pad = 2 * dilation
        self.conv = nn.Conv1d(d, d, 3, dilation=dilation)
        self.norm = nn.LayerNorm(d)

    def forward(self, x):
        h = F.pad(self.norm(x).transpose(1, 2), (self.pad, 0))
        return x + F.gelu(self.conv(h)).transpose(1, 2)


class CharNet(nn.Module):
    def __init__(self, d=64):
        super().__init__()
        self.emb = nn.Embedding(len(vocab), d)
        self.blocks = nn.Sequential(*[CausalBlock(d, 2 ** i) for i in range(3)])
        self.head = nn.Linear(d, len(vocab))

    def forward(self, x):
        return self.head(self.blocks(self.emb(x)))


model = CharNet()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3, weight_decay=0.1)
valid = [batch(ids[cut:]) for _ in range(8)]
for epoch in range(6):
    model.train()
    acc = 0.0
    for step in range(50):
        x, y = batch(ids[:cut])
        loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        acc += loss.item()
    model.eval()
    with torch.no_grad():
        v = sum(F.cross_entropy(model(x).flatten(0, 1), y.flatten()).item() for x, y in valid) / len(valid)
    print(f"epoch {epoch} train {acc / 50:.3f} val {v:.3f} bits/char {v / math.log(2):.2f}")
