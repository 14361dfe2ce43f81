import math
from dataclasses import dataclass
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset


@dataclass
class Config:
    block: int = 32
    dim: int = 64
    layers: int = 2
    batch: int = 32
    epochs: int = 5
    lr: float = 3e-3
    warmup: int = 20


class Block(nn.Module):
    def __init__(self, dim, heads=4):
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attn = nn.MultiheadAttention(dim, heads, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))

    def forward(self, x):
        mask = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
        h = self.ln1(x)
        x = x + self.attn(h, h, h, attn_mask=mask, need_weights=False)[0]
        return x + self.mlp(self.ln2(x))


class TinyLM(nn.Module):
    def __init__(self, vocab, cfg):
        super().__init__()
        self.tok, self.pos = nn.Embedding(vocab, cfg.dim), nn.Embedding(cfg.block, cfg.dim)
        self.blocks = nn.Sequential(*[Block(cfg.dim) for _ in range(cfg.layers)])
        self.ln = nn.LayerNorm(cfg.dim)
        nn.init.normal_(self.tok.weight, std=0.05)
        nn.init.normal_(self.pos.weight, std=0.05)

    def forward(self, x):
        h = self.tok(x) + self.pos.weight[:x.shape[1]]
        return F.linear(self.ln(self.blocks(h)), self.tok.weight)


def windows(ids, block, count, seed):
    g = torch.Generator().manual_seed(seed)
    starts = torch.randint(len(ids) - block - 1, (count,), generator=g)
    return TensorDataset(ids[starts[:, None] + torch.arange(block + 1)])


def loss_of(model, chunk):
    logits = model(chunk[:, :-1])
    return F.cross_entropy(logits.flatten(0, 1), chunk[:, 1:].flatten())

cfg = Config()
torch.manual_seed(7)
text = open("data/text/shakespeare_7plays.txt", encoding="utf-8").read().lower()
vocab = {c: i for i, c in enumerate(sorted(set(text)))}
ids = torch.tensor([vocab[c] for c in text])
cut = int(len(ids) * 0.9)
train = DataLoader(windows(ids[:cut], cfg.block, 1600, 1), cfg.batch, shuffle=True)
val = DataLoader(windows(ids[cut:], cfg.block, 256, 2), 64)

model = TinyLM(len(vocab), cfg)
opt = torch.optim.AdamW(model.parameters(), lr=cfg.lr, weight_decay=0.01)
total_steps = len(train)


def lr_at(step):
    t = min(1.0, max(0.0, (step - cfg.warmup) / (total_steps - cfg.warmup)))
    return min(1.0, (step + 1) / cfg.warmup) * 0.5 * (1 + math.cos(math.pi * t))


sched = torch.optim.lr_scheduler.LambdaLR(opt, lr_at)
for epoch in range(cfg.epochs):
    model.train()
    for (chunk,) in train:
        loss = loss_of(model, chunk)
        opt.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        sched.step()
    model.eval()
    with torch.no_grad():
        held_out = sum(loss_of(model, chunk).item() for (chunk,) in val) / len(val)
    print(f"epoch {epoch} train {loss.item():.3f} val {held_out:.3f}")
