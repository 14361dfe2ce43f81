import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(9)
z = np.load("embedded/mnist_5k_1k.npz")
x = torch.tensor(z["x_train"]).float().unsqueeze(1) / 255
y = torch.tensor(z["y_train"]).long()
xv = torch.tensor(z["x_test"]).float().unsqueeze(1) / 255
yv = torch.tensor(z["y_test"]).long()

backbone = nn.Sequential(
    nn.Conv2d(1, 12, 5, stride=2, padding=2), nn.BatchNorm2d(12), nn.ReLU(),
    nn.Conv2d(12, 24, 3, stride=2, padding=1), nn.BatchNorm2d(24), nn.ReLU(),
    nn.Flatten(), nn.Linear(24 * 49, 64), nn.BatchNorm1d(64), nn.ReLU())
old_head = nn.Linear(64, 5)
criterion = nn.CrossEntropyLoss()

low, low_v = y < 5, yv < 5
pre = nn.Sequential(backbone, old_head)
opt = torch.optim.Adam(pre.parameters(), lr=2e-3)
for epoch in range(2):
    pre.train()
    for xb, yb in DataLoader(TensorDataset(x[low], y[low]), batch_size=64, shuffle=True):
        opt.zero_grad()
        criterion(pre(xb), yb).backward()
        opt.step()
pre.eval()
with torch.no_grad():
    print("digits 0-4:", (pre(xv[low_v]).argmax(1) == yv[low_v]).float().mean().item())

for p in backbone.parameters():
    p.requires_grad_(False)
head = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 5))
optimizer = torch.optim.Adam(head.parameters(), lr=3e-3)
high, high_v = y >= 5, yv >= 5
loader = DataLoader(TensorDataset(x[high], y[high] - 5), batch_size=50, shuffle=True)
for epoch in range(5):
    backbone.eval()
    head.train()
    running = 0.0
    for xb, yb in loader:
        loss = criterion(head(backbone(xb)), yb)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        running += loss.item()
    head.eval()
    with torch.no_grad():
        acc = (head(backbone(xv[high_v])).argmax(1) == yv[high_v] - 5).float().mean().item()
        old = (pre(xv[low_v]).argmax(1) == yv[low_v]).float().mean().item()
    print(f"epoch {epoch}: loss {running / len(loader):.4f}, digits 5-9 accuracy {acc:.4f}, old head on 0-4 {old:.4f}")
