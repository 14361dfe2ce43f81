import numpy as np
import torch
import torch.nn as nn
from sklearn.datasets import make_friedman1
from sklearn.metrics import r2_score

torch.manual_seed(0)
rng = np.random.RandomState(0)

X, y = make_friedman1(n_samples=1600, n_features=8, noise=0.8, random_state=0)
X[rng.rand(*X.shape) < 0.04] = -999.0
train, val = slice(0, 1200), slice(1200, None)

mu, sigma = X[train].mean(0), X[train].std(0)
X = torch.tensor((X - mu) / sigma, dtype=torch.float32)
y_mu, y_sigma = y[train].mean(), y[train].std()
t = torch.tensor((y - y_mu) / y_sigma, dtype=torch.float32).view(-1, 1)


class Regressor(nn.Module):
    def __init__(self, n_features):
        super().__init__()
        self.hidden1 = nn.Linear(n_features, 64)
        self.hidden2 = nn.Linear(64, 32)
        self.output = nn.Linear(32, 1)
        self.act = nn.SiLU()

    def forward(self, x):
        x = self.act(self.hidden1(x))
        x = self.act(self.hidden2(x))
        return self.output(x)


model = Regressor(X.shape[1])
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3, weight_decay=1e-4)
criterion = nn.MSELoss()
Xtr, ttr, Xva = X[train], t[train], X[val]

for epoch in range(30):
    model.train()
    perm = torch.randperm(len(Xtr))
    batch_losses = []
    for chunk in perm.split(32):
        optimizer.zero_grad()
        loss = criterion(model(Xtr[chunk]), ttr[chunk])
        loss.backward()
        optimizer.step()
        batch_losses.append(loss.item())
    model.eval()
    with torch.no_grad():
        pred = model(Xva).squeeze(1).numpy() * y_sigma + y_mu
    if epoch % 2 == 1:
        print(f"epoch {epoch + 1}: train mse {np.mean(batch_losses):.4f}, val R2 {r2_score(y[val], pred):.3f}")
