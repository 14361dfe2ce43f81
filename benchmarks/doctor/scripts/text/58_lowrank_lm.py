import math
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(23)
text = open("data/text/shakespeare_7plays.txt").read()
chars = sorted(set(text))
stoi = {c: i for i, c in enumerate(chars)}
as_ids = lambda s: torch.tensor([stoi[c] for c in s])
source = as_ids(text[5000:250000])
target = as_ids(text[5000:150000].upper())
tune, held = target[:120000], target[120000:]
CTX, D = 32, 48


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(D), nn.LayerNorm(D)
        self.q, self.k, self.v, self.o = (nn.Linear(D, D) for _ in range(4))
        self.up, self.down = nn.Linear(D, 4 * D), nn.Linear(4 * D, D)

    def forward(self, x):
        b, t, _ = x.shape
        h = self.ln1(x)
        q, k, v = (m(h).view(b, t, 4, D // 4).transpose(1, 2) for m in (self.q, self.k, self.v))
        a = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(b, t, D)
        x = x + self.o(a)
        return x + self.down(F.gelu(self.up(self.ln2(x))))


class LM(nn.Module):
    def __init__(self):
        super().__init__()
        self.tok, self.pos = nn.Embedding(len(chars), D), nn.Embedding(CTX, D)
        self.blocks = nn.Sequential(Block(), Block())
        self.norm, self.head = nn.LayerNorm(D), nn.Linear(D, len(chars))

    def forward(self, t):
        return self.head(self.norm(self.blocks(self.tok(t) + self.pos.weight)))


class Adapter(nn.Module):
    def __init__(self, inner, r=8):
        super().__init__()
        self.inner = inner
        self.down = nn.Linear(inner.in_features, r, bias=False)
        self.up = nn.Linear(r, inner.out_features, bias=False)
        nn.init.zeros_(self.down.weight)
        nn.init.zeros_(self.up.weight)

    def forward(self, x):
        return self.inner(x) + 2.0 * self.up(self.down(x))


def batch(ids, n=16):
    s = torch.randint(len(ids) - CTX - 1, (n,)).tolist()
    w = torch.stack([ids[i:i + CTX + 1] for i in s])
    return w[:, :-1], w[:, 1:]


def loss_on(model, x, y):
    return F.cross_entropy(model(x).flatten(0, 1), y.flatten())


lm = LM()
opt = torch.optim.AdamW(lm.parameters(), lr=3e-3)
for _ in range(150):
    loss = loss_on(lm, *batch(source))
    opt.zero_grad()
    loss.backward()
    opt.step()
print("base model", round(loss.item(), 3))

lm.requires_grad_(False)
for blk in lm.blocks:
    for name in ("q", "v", "up", "down"):
        setattr(blk, name, Adapter(getattr(blk, name)))
lm.head = Adapter(lm.head)
params = [p for p in lm.parameters() if p.requires_grad]
optimizer = torch.optim.AdamW(params, lr=5e-3)
for epoch in range(5):
    lm.train()
    total = 0.0
    for _ in range(30):
        loss = loss_on(lm, *batch(tune))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() / 30
    lm.eval()
    with torch.no_grad():
        val = sum(loss_on(lm, *batch(held, 32)).item() for _ in range(4)) / 4
    print(f"epoch {epoch} tuned {total:.3f} held-out {val:.3f}")
