# The signal explains about a seventh of the variance, no model can do better than that
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(2)
rng = np.random.default_rng(2)
n = 4000
X = rng.normal(size=(n, 8)).astype("float32")
signal = 0.35 * X[:, 0] + 0.25 * np.sin(2 * X[:, 1]) - 0.2 * X[:, 2] * (X[:, 3] > 0)
y = (signal + rng.normal(size=n)).astype("float32")
y /= y[:3000].std()
print("noise ceiling R2 about", round(float(np.var(signal) / (np.var(signal) + 1)), 3))
X, y = torch.from_numpy(X), torch.from_numpy(y)
train = DataLoader(TensorDataset(X[:3000], y[:3000]), batch_size=64, shuffle=True)
Xv, yv = X[3000:], y[3000:]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(8, 32)
        self.b = nn.Linear(32, 1)

    def forward(self, x):
        return self.b(torch.relu(self.a(x))).squeeze(-1)


net = Net()
opt = torch.optim.AdamW(net.parameters(), lr=5e-3, weight_decay=0.01)
sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=12 * len(train))
for epoch in range(12):
    net.train()
    mse = 0.0
    for xb, yb in train:
        loss = nn.functional.mse_loss(net(xb), yb)
        opt.zero_grad()
        loss.backward()
        opt.step()
        sched.step()
        mse += loss.item() / len(train)
    net.eval()
    with torch.no_grad():
        v = nn.functional.mse_loss(net(Xv), yv).item()
    print(f"epoch {epoch} train mse {mse:.4f} val mse {v:.4f} val R2 {1 - v / yv.var().item():.3f}")
