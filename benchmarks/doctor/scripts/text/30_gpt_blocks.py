import math
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(1337)
raw = open("data/text/shakespeare_7plays.txt", encoding="utf-8").read()[5000:405000]
vocab = sorted(set(raw))
V = len(vocab)
enc = {c: i for i, c in enumerate(vocab)}
ids = torch.tensor([enc[c] for c in raw])
n = int(len(ids) * 0.9)
train_ids, val_ids = ids[:n], ids[n:]
block_size, batch_size, n_embd, n_head, n_layer = 40, 16, 48, 4, 2
max_iters, warmup, base_lr = 200, 20, 3e-3


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.ln1 = nn.LayerNorm(n_embd)
        self.ln2 = nn.LayerNorm(n_embd)
        self.qkv = nn.Linear(n_embd, 3 * n_embd)
        self.proj = nn.Linear(n_embd, n_embd)
        self.mlp = nn.Sequential(nn.Linear(n_embd, 4 * n_embd), nn.GELU(), nn.Linear(4 * n_embd, n_embd))

    def forward(self, x):
        B, T, C = x.shape
        q, k, v = self.qkv(self.ln1(x)).split(C, dim=2)
        q, k, v = (t.view(B, T, n_head, C // n_head).transpose(1, 2) for t in (q, k, v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.proj(y.transpose(1, 2).reshape(B, T, C))
        return x + self.mlp(self.ln2(x))


class GPT(nn.Module):
    def __init__(self):
        super().__init__()
        self.wte = nn.Embedding(V, n_embd)
        self.wpe = nn.Embedding(block_size, n_embd)
        self.blocks = nn.ModuleList([Block() for _ in range(n_layer)])
        self.ln_f = nn.LayerNorm(n_embd)
        self.head = nn.Linear(n_embd, V, bias=False)
        self.apply(self._init)

    def _init(self, m):
        if isinstance(m, (nn.Linear, nn.Embedding)):
            nn.init.normal_(m.weight, std=1.0)
        if isinstance(m, nn.Linear) and m.bias is not None:
            nn.init.zeros_(m.bias)

    def forward(self, idx):
        x = self.wte(idx) + self.wpe(torch.arange(idx.size(1)))
        for b in self.blocks:
            x = b(x)
        return self.head(self.ln_f(x))


def batch(src):
    i = torch.randint(len(src) - block_size - 1, (batch_size,)).tolist()
    return torch.stack([src[j:j + block_size] for j in i]), torch.stack([src[j + 1:j + 1 + block_size] for j in i])


model = GPT()
optimizer = torch.optim.AdamW(model.parameters(), lr=base_lr, betas=(0.9, 0.95), weight_decay=0.1)
for it in range(1, max_iters + 1):
    frac = min(1.0, it / warmup) if it <= warmup else 0.1 + 0.45 * (1 + math.cos(math.pi * (it - warmup) / (max_iters - warmup)))
    for g in optimizer.param_groups:
        g["lr"] = base_lr * frac
    xb, yb = batch(train_ids)
    loss = F.cross_entropy(model(xb).view(-1, V), yb.view(-1))
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    if it % 40 == 0:
        model.eval()
        with torch.no_grad():
            vl = sum(F.cross_entropy(model(x).view(-1, V), y.view(-1)).item() for x, y in (batch(val_ids) for _ in range(6))) / 6
        model.train()
        print(f"iter {it} train {loss.item():.3f} val {vl:.3f}")
