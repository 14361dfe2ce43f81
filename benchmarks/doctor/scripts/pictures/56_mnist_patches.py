"""Patch transformer on shrunken MNIST with linear warm-up, cosine decay, label smoothing."""
import math
import numpy as np
import torch
import torch.nn as nn

torch.manual_seed(31)
d = np.load("embedded/mnist_5k_1k.npz")


def patches(a):
    t = nn.functional.avg_pool2d(torch.from_numpy(a).float().div(255)[:, None], 2)[..., 1:13, 1:13]
    t = (t - 0.17) / 0.3
    return nn.functional.unfold(t, kernel_size=3, stride=3).transpose(1, 2).contiguous()


class Block(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.n1, self.n2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attn = nn.MultiheadAttention(dim, heads, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))

    def forward(self, x):
        h = self.n1(x)
        x = x + self.attn(h, h, h, need_weights=False)[0]
        return x + self.mlp(self.n2(x))


class PatchNet(nn.Module):
    def __init__(self, dim=32):
        super().__init__()
        self.embed = nn.Linear(9, dim)
        self.pos = nn.Parameter(torch.randn(16, dim) * 0.3)
        self.blocks = nn.Sequential(Block(dim, 4), Block(dim, 4))
        self.norm, self.head = nn.LayerNorm(dim), nn.Linear(dim, 10)

    def forward(self, x):
        return self.head(self.norm(self.blocks(self.embed(x) + self.pos)).mean(1))


xtr, ytr = patches(d["x_train"]), torch.from_numpy(d["y_train"]).long()
xva, yva = patches(d["x_test"]), torch.from_numpy(d["y_test"]).long()
net = PatchNet()
EPOCHS, BS = 6, 50
total, warm = EPOCHS * len(xtr) // BS, 50
opt = torch.optim.AdamW(net.parameters(), lr=4e-3, weight_decay=0.05, betas=(0.9, 0.98))
step = 0
for epoch in range(EPOCHS):
    net.train()
    for idx in torch.randperm(len(xtr)).split(BS):
        lr = 4e-3 * (step / warm if step < warm else 0.5 * (1 + math.cos(math.pi * (step - warm) / (total - warm))))
        for group in opt.param_groups:
            group["lr"] = lr
        loss = nn.functional.cross_entropy(net(xtr[idx]), ytr[idx], label_smoothing=0.1)
        opt.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        opt.step()
        step += 1
    net.eval()
    with torch.no_grad():
        acc = (net(xva).argmax(1) == yva).float().mean().item()
    print(f"epoch {epoch} lr {lr:.5f} train {loss.item():.3f} acc {acc:.3f}")
