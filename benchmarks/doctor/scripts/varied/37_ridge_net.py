import torch
import torch.nn as nn
from sklearn.datasets import make_regression
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(37)
X, y = make_regression(n_samples=600, n_features=30, n_informative=8, noise=170.0, random_state=37)
X = torch.tensor(X, dtype=torch.float32)
y = torch.tensor((y - y[:200].mean()) / y[:200].std(), dtype=torch.float32).unsqueeze(1)
train = DataLoader(TensorDataset(X[:200], y[:200]), batch_size=20, shuffle=True)
xv, yv = X[200:], y[200:]


class Net(nn.Module):
    def __init__(self, width=256):
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(30, width), nn.ReLU(),
            nn.Linear(width, width), nn.ReLU(),
            nn.Linear(width, 1),
        )

    def forward(self, x):
        return self.body(x)


net = Net()
opt = torch.optim.Adam(net.parameters(), lr=1e-3)
crit = nn.MSELoss()
for epoch in range(60):
    net.train()
    tot = 0.0
    for xb, yb in train:
        opt.zero_grad()
        loss = crit(net(xb), yb)
        loss.backward()
        opt.step()
        tot += loss.item() * len(xb) / 200
    net.eval()
    with torch.no_grad():
        v = crit(net(xv), yv).item()
    print(f"epoch {epoch} train mse {tot:.4f} val mse {v:.4f} val r2 {1 - v / yv.var().item():.4f}")
