import math
from dataclasses import dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F


@dataclass
class Config:
    path: str = "data/text/shakespeare_7plays.txt"
    block: int = 32
    batch: int = 32
    emb: int = 32
    hidden: int = 112
    steps: int = 240
    warmup: int = 30
    lr: float = 5e-3
    min_lr: float = 3e-4
    weight_decay: float = 0.01
    clip: float = 1.0
    seed: int = 1337


class CharGRU(nn.Module):
    def __init__(self, vocab, cfg):
        super().__init__()
        self.emb = nn.Embedding(vocab, cfg.emb)
        self.rnn = nn.GRU(cfg.emb, cfg.hidden, batch_first=True)
        self.norm = nn.LayerNorm(cfg.hidden)
        self.out = nn.Linear(cfg.hidden, vocab)

    def forward(self, idx, h=None):
        z, h = self.rnn(self.emb(idx), h)
        return self.out(self.norm(z)), h


def get_batch(data, cfg, g):
    start = torch.randint(len(data) - cfg.block - 1, (cfg.batch,), generator=g)
    win = torch.stack([data[s:s + cfg.block + 1] for s in start])
    return win[:, :-1], win[:, 1:]


def lr_at(step, cfg):
    if step < cfg.warmup:
        return cfg.lr * (step + 1) / cfg.warmup
    t = (step - cfg.warmup) / max(1, cfg.steps - cfg.warmup)
    return cfg.min_lr + 0.5 * (cfg.lr - cfg.min_lr) * (1 + math.cos(math.pi * t))


@torch.no_grad()
def estimate(model, data, cfg, n=10):
    model.eval()
    g = torch.Generator().manual_seed(0)
    tot = 0.0
    for _ in range(n):
        x, y = get_batch(data, cfg, g)
        tot += F.cross_entropy(model(x)[0].flatten(0, 1), y.flatten()).item()
    model.train()
    return tot / n


cfg = Config()
torch.manual_seed(cfg.seed)
text = open(cfg.path, encoding="utf-8").read()
chars = sorted(set(text))
stoi = {c: i for i, c in enumerate(chars)}
ids = torch.tensor([stoi[c] for c in text])
cut = int(0.9 * len(ids))
train, val = ids[:cut], ids[cut:]

model = CharGRU(len(chars), cfg)
opt = torch.optim.AdamW(model.parameters(), lr=cfg.lr, weight_decay=cfg.weight_decay, betas=(0.9, 0.98))
gen = torch.Generator().manual_seed(cfg.seed)
for step in range(cfg.steps):
    for group in opt.param_groups:
        group["lr"] = lr_at(step, cfg)
    x, y = get_batch(train, cfg, gen)
    loss = F.cross_entropy(model(x)[0].flatten(0, 1), y.flatten())
    opt.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), cfg.clip)
    opt.step()
    if (step + 1) % 60 == 0:
        print(f"{step + 1:4d} train {loss.item():.3f} val {estimate(model, val, cfg):.3f} (uniform {math.log(len(chars)):.2f})")
