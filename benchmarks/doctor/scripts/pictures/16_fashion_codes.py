"""Denoising autoencoder first; then a linear probe on its frozen codes."""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(41)
d = np.load("embedded/fashion_mnist_5k_1k.npz")
flat = lambda a: F.avg_pool2d(torch.from_numpy(a).float()[:, None] / 255, 2).flatten(1)
x, xv = flat(d["x_train"]), flat(d["x_test"])
y, yv = torch.from_numpy(d["y_train"]).long(), torch.from_numpy(d["y_test"]).long()

enc = nn.Sequential(nn.Linear(196, 128), nn.ReLU(), nn.Linear(128, 40))
dec = nn.Sequential(nn.ReLU(), nn.Linear(40, 128), nn.ReLU(), nn.Linear(128, 196), nn.Sigmoid())
opt = torch.optim.Adam([*enc.parameters(), *dec.parameters()], lr=2e-3)
for epoch in range(6):
    tot = 0.0
    for idx in torch.randperm(len(x)).split(64):
        noisy = x[idx] + 0.1 * torch.randn_like(x[idx])
        loss = F.mse_loss(dec(enc(noisy)), x[idx])
        opt.zero_grad()
        loss.backward()
        opt.step()
        tot += loss.item() * len(idx)
    with torch.no_grad():
        print(f"ae {epoch} train {tot / len(x):.4f} val {F.mse_loss(dec(enc(xv)), xv).item():.4f}")

enc.requires_grad_(False)
with torch.no_grad():
    code, code_v = enc(x), enc(xv)
mu, sd = code.mean(0), code.std(0) + 1e-6
code, code_v = (code - mu) / sd, (code_v - mu) / sd
probe = nn.Linear(40, 10)
opt = torch.optim.SGD(probe.parameters(), lr=0.1)
for epoch in range(6):
    for idx in torch.randperm(len(code)).split(50):
        loss = F.cross_entropy(probe(code[idx]), y[idx])
        opt.zero_grad()
        loss.backward()
        opt.step()
    with torch.no_grad():
        o = probe(code_v)
        print(f"probe {epoch} val loss {F.cross_entropy(o, yv).item():.3f} acc {(o.argmax(1) == yv).float().mean().item():.3f}")
