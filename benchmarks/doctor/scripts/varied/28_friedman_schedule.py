import torch
from torch import nn
from sklearn.datasets import make_friedman1
from sklearn.model_selection import train_test_split
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(28)
X, y = make_friedman1(n_samples=2500, n_features=10, noise=0.5, random_state=28)
a, b, c, d = train_test_split(X, y, test_size=0.2, random_state=28)
mx, sx, my, sy = a.mean(0), a.std(0), c.mean(), c.std()
f = lambda v: torch.tensor(v, dtype=torch.float32)
train_dl = DataLoader(TensorDataset(f((a - mx) / sx), f((c - my) / sy)), batch_size=50, shuffle=True)
xv, yv = f((b - mx) / sx), f((d - my) / sy)

model = nn.Sequential(nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
epochs = 30
opt = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
scheduler = torch.optim.lr_scheduler.MultiStepLR(opt, milestones=[15, 22, 27], gamma=0.1)
mse = nn.MSELoss()

for epoch in range(epochs):
    model.train()
    s = 0.0
    for xb, yb in train_dl:
        opt.zero_grad()
        loss = mse(model(xb).squeeze(-1), yb)
        loss.backward()
        opt.step()
        scheduler.step()
        s += loss.item()
    model.eval()
    with torch.no_grad():
        v = mse(model(xv).squeeze(-1), yv).item()
    print(f"{epoch + 1:3d}/{epochs} train mse {s / len(train_dl):.4f} val mse {v:.4f} val R2 {1 - v / yv.var().item():.4f}")
