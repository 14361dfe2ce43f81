"""Fat, water and protein of minced meat from its near-infrared absorbance."""
import numpy as np
import torch
from torch import nn

torch.manual_seed(13)
NAMES = ["water", "fat", "protein"]


def read():
    z = np.load("data/regression/meats_nir.npz")
    spectra = torch.from_numpy(z["X"]).float()
    y = torch.from_numpy(z["Y"]).float()
    order = torch.randperm(len(spectra), generator=torch.Generator().manual_seed(2))
    train, test = order[:160], order[160:]
    y = (y - y[train].mean(0)) / y[train].std(0)
    return spectra[train], y[train], spectra[test], y[test]


def make_net(n_in, n_out):
    net = nn.Sequential(nn.Linear(n_in, 64), nn.Tanh(), nn.Linear(64, 32), nn.Tanh(),
                        nn.Linear(32, n_out))
    for layer in net:
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
    return net


def r2(pred, y):
    return 1 - (pred - y).pow(2).sum(0) / (y - y.mean(0)).pow(2).sum(0)


def batches(x, y, size):
    order = torch.randperm(len(x))
    for i in range(0, len(x) - size + 1, size):
        idx = order[i:i + size]
        yield x[idx], y[idx]


x_tr, y_tr, x_te, y_te = read()
net = make_net(x_tr.shape[1], y_tr.shape[1])
opt = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
loss_fn = nn.MSELoss()

for epoch in range(1, 401):
    net.train()
    total, count = 0.0, 0
    for xb, yb in batches(x_tr, y_tr, 16):
        opt.zero_grad()
        loss = loss_fn(net(xb), yb)
        loss.backward()
        opt.step()
        total, count = total + loss.item(), count + 1
    if epoch % 50 == 0:
        net.eval()
        with torch.no_grad():
            scores = r2(net(x_te), y_te)
        print(f"epoch {epoch}: train mse {total / count:.4f}  test r2 "
              + "  ".join(f"{n} {s:.3f}" for n, s in zip(NAMES, scores.tolist())))
