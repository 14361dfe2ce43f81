import numpy as np
import torch
from torch import nn
from sklearn.datasets import load_diabetes
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(10)
X, y = load_diabetes(return_X_y=True)
rng = np.random.default_rng(10)
p = rng.permutation(len(X))
X, y = X[p], y[p]
X_train, X_test, y_train, y_test = X[:350], X[350:], y[:350], y[350:]
mx, sx = X_train.mean(0), X_train.std(0)
my, sy = y_train.mean(), y_train.std()
f32 = lambda a: torch.tensor(a, dtype=torch.float32)
train = DataLoader(TensorDataset(f32((X_train - mx) / sx), f32((y_train - my) / sy)), batch_size=32, shuffle=True)
Xt, yt = f32((X_test - mx) / sx), f32((y_test - my) / sy)


class Regressor(nn.Module):
    def __init__(self, n_in):
        super().__init__()
        self.hidden = nn.Linear(n_in, 16)
        self.out = nn.Linear(16, 1)

    def forward(self, x):
        return self.out(torch.relu(self.hidden(x)))


model = Regressor(10)
opt = torch.optim.Adam(model.parameters(), lr=3e-3, weight_decay=1e-3)
for epoch in range(20):
    model.train()
    for xb, yb in train:
        pred = model(xb)
        loss = ((pred - yb) ** 2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
    model.eval()
    with torch.no_grad():
        err = model(Xt)[:, 0] - yt
    r2 = 1 - err.pow(2).sum() / (yt - yt.mean()).pow(2).sum()
    print(f"epoch {epoch} loss {loss.item():.3f} test R2 {r2.item():.3f} test RMSE {err.pow(2).mean().sqrt().item() * sy:.1f}")
