# Blurry, noisy clothing pictures; the best anybody gets here is well below the clean score
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(19)
d = np.load("embedded/fashion_mnist_5k_1k.npz")


def corrupt(a, seed):
    g = torch.Generator().manual_seed(seed)
    t = F.avg_pool2d(torch.tensor(a).float()[:, None] / 255, 4)
    t = t + 0.35 * torch.randn(t.shape, generator=g)
    return (t.flatten(1) - 0.29) / 0.45


train = TensorDataset(corrupt(d["x_train"], 1), torch.tensor(d["y_train"]).long())
xv, yv = corrupt(d["x_test"], 2), torch.tensor(d["y_test"]).long()
net = nn.Sequential(nn.Linear(49, 64), nn.ReLU(), nn.Dropout(0.3), nn.Linear(64, 10))
opt = torch.optim.Adam(net.parameters(), lr=1e-3)
for epoch in range(10):
    net.train()
    tot = 0.0
    for xb, yb in DataLoader(train, batch_size=64, shuffle=True):
        opt.zero_grad()
        loss = F.cross_entropy(net(xb), yb)
        loss.backward()
        opt.step()
        tot += loss.item() * len(xb)
    net.eval()
    with torch.inference_mode():
        o = net(xv)
    print(epoch, f"{tot / len(train):.3f}", f"val {F.cross_entropy(o, yv):.3f} acc {(o.argmax(1) == yv).float().mean():.3f}")
