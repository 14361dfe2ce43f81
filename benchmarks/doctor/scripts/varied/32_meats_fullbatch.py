import numpy as np
import torch
import torch.nn as nn

# fat content from near-infrared spectra: 160 samples, so plain full-batch training with Rprop
torch.manual_seed(32)
d = np.load("data/regression/meats_nir.npz")
X, fat = d["X"].astype(np.float64), d["Y"][:, 1]
X = (X - X.mean(1, keepdims=True)) / X.std(1, keepdims=True)
order = np.random.default_rng(0).permutation(len(X))
tr, va = order[:160], order[160:]
m = X[tr].mean(0)
U, S, Vt = np.linalg.svd(X[tr] - m, full_matrices=False)
Z = (X - m) @ Vt[:10].T
Z = torch.tensor(Z / Z[tr].std(0), dtype=torch.float32)
mu, sd = fat[tr].mean(), fat[tr].std()
t = torch.tensor((fat - mu) / sd, dtype=torch.float32)

net = nn.Sequential(nn.Linear(10, 8), nn.Tanh(), nn.Linear(8, 1))
opt = torch.optim.Rprop(net.parameters(), lr=0.005, step_sizes=(1e-6, 0.1))
for step in range(1, 151):
    net.train()
    opt.zero_grad()
    loss = (net(Z[tr]).squeeze(1) - t[tr]).pow(2).mean()
    penalty = 5e-4 * sum(p.pow(2).sum() for p in net.parameters() if p.ndim == 2)
    (loss + penalty).backward()
    opt.step()
    if step % 10 == 0:
        net.eval()
        with torch.no_grad():
            e = (net(Z[va]).squeeze(1) - t[va]).pow(2).mean()
        print(f"step {step} train mse {loss.item():.4f} penalty {penalty.item():.4f} val mse {e.item():.4f} val rmse {sd * e.sqrt().item():.3f} % fat")
