import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(22)
npz = np.load("embedded/mnist_5k_1k.npz")
X = torch.tensor(npz["x_train"] / 255.0, dtype=torch.float32).view(-1, 784)
y = torch.tensor(npz["y_train"].astype(int))
Xv = torch.tensor(npz["x_test"] / 255.0, dtype=torch.float32).view(-1, 784)
yv = torch.tensor(npz["y_test"].astype(int))
loader = DataLoader(TensorDataset(X, y), batch_size=100, shuffle=True)


class MLP(nn.Module):
    def __init__(self, p):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(784, 128), nn.ReLU(), nn.Dropout(p),
            nn.Linear(128, 64), nn.ReLU(), nn.Dropout(p),
            nn.Linear(64, 10))

    def forward(self, x):
        return self.net((x - 0.13) / 0.31)


model = MLP(p=0.9)
opt = torch.optim.Adam(model.parameters(), lr=1e-3)
for epoch in range(10):
    model.train()
    s = 0.0
    for xb, yb in loader:
        loss = nn.functional.cross_entropy(model(xb), yb)
        opt.zero_grad()
        loss.backward()
        opt.step()
        s += loss.item()
    model.eval()
    with torch.no_grad():
        acc = (model(Xv).argmax(1) == yv).float().mean()
    print(f"epoch {epoch}  train loss {s / len(loader):.4f}  val acc {acc:.4f}")
