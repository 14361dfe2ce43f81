"""Word-level causal transformer with tied weights and warm-up; words outside the top 500 become <unk>."""
import math
import re
from collections import Counter
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(109)
words = re.findall(r"[a-z']+|[.,;:!?]", open("data/text/shakespeare_7plays.txt").read().lower())
vocab = ["<unk>"] + [w for w, _ in Counter(words[:120000]).most_common(499)]
index = {w: i for i, w in enumerate(vocab)}
ids = torch.tensor([index.get(w, 0) for w in words])
cut, T, B, D = 150000, 16, 32, 48


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(500, D)
        self.pos = nn.Embedding(T, D)
        nn.init.normal_(self.emb.weight, std=0.05)
        nn.init.normal_(self.pos.weight, std=0.05)
        layer = nn.TransformerEncoderLayer(D, 4, 96, dropout=0.0, batch_first=True, norm_first=True, activation="gelu")
        self.enc = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(D)
        self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(T))

    def forward(self, x):
        h = self.enc(self.emb(x) + self.pos.weight, mask=self.mask, is_causal=True)
        return F.linear(self.norm(h), self.emb.weight)


def batch(lo, hi):
    w = ids[torch.randint(lo, hi - T - 1, (B, 1)) + torch.arange(T + 1)]
    return w[:, :-1], w[:, 1:]


model = Model()
opt = torch.optim.AdamW(model.parameters(), lr=4e-3, betas=(0.9, 0.95), weight_decay=0.1)
STEPS = 360
sched = torch.optim.lr_scheduler.LambdaLR(opt, lambda s: min((s + 1) / 30, 0.5 * (1 + math.cos(math.pi * s / STEPS)) + 0.05))
val = [batch(cut, len(ids)) for _ in range(15)]
run = 0.0
for step in range(1, STEPS + 1):
    model.train()
    x, y = batch(0, cut)
    loss = F.cross_entropy(model(x).transpose(1, 2), y)
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    opt.step()
    sched.step()
    run += loss.item()
    if step % 60 == 0:
        model.eval()
        with torch.no_grad():
            v = sum(F.cross_entropy(model(a).transpose(1, 2), b).item() for a, b in val) / len(val)
        print(f"step {step}: train {run / 60:.3f} val {v:.3f}")
        run = 0.0
