"""Estimate how far a digit was rotated (radians) from its picture."""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from scipy.ndimage import rotate
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(6)
rng = np.random.default_rng(6)
d = np.load("embedded/mnist_5k_1k.npz")


def build(x, y, limit):
    rows = np.where((y == 1) | (y == 7) | (y == 4))[0][:limit]
    angle = rng.uniform(-60, 60, len(rows))
    imgs = np.stack([rotate(x[r].astype(np.float32), a, reshape=False, order=1) for r, a in zip(rows, angle)])
    imgs = torch.from_numpy(imgs / 255.0 - 0.12).float().unsqueeze(1)
    return F.avg_pool2d(imgs, 2), torch.from_numpy(np.deg2rad(angle)).float()


x_train, t_train = build(d["x_train"], d["y_train"], 1400)
x_val, t_val = build(d["x_test"], d["y_test"], 300)


class AngleNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(1, 12, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
                                  nn.Conv2d(12, 24, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(24 * 9, 48), nn.ReLU(), nn.Linear(48, 1))

    def forward(self, x):
        return self.head(self.conv(x))


net = AngleNet()
opt = torch.optim.Adam(net.parameters(), lr=2e-3)
loader = DataLoader(TensorDataset(x_train, t_train), batch_size=32, shuffle=True)
for epoch in range(10):
    net.train()
    tot = 0.0
    for xb, tb in loader:
        loss = F.mse_loss(net(xb), tb)
        opt.zero_grad()
        loss.backward()
        opt.step()
        tot += loss.item() * len(xb)
    net.eval()
    with torch.no_grad():
        err = (net(x_val).view(-1) - t_val).abs().mean().item()
    print(f"epoch {epoch + 1} mse {tot / len(x_train):.4f} mean abs error {np.rad2deg(err):.1f} degrees")
