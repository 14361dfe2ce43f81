import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from sklearn.datasets import make_friedman1

torch.manual_seed(0)
X, s = make_friedman1(n_samples=2000, n_features=7, noise=1.5, random_state=3)
y = np.digitize(s, np.quantile(s, [0.15, 0.4, 0.7, 0.9]))  # grades 0..4
K = 5
X = torch.tensor((X - 0.5) / 0.29, dtype=torch.float32)
y = torch.tensor(y)
train, val = TensorDataset(X[:1500], y[:1500]), TensorDataset(X[1500:], y[1500:])


class Ordinal(nn.Module):
    """P(y > k) = sigmoid(f(x) - c_k), with ordered cut points."""

    def __init__(self):
        super().__init__()
        self.f = nn.Sequential(nn.Linear(7, 40), nn.ReLU(), nn.Linear(40, 20), nn.ReLU(), nn.Linear(20, 1))
        self.first = nn.Parameter(torch.tensor(-1.5))
        self.gaps = nn.Parameter(torch.zeros(K - 2))

    def forward(self, x):
        cuts = torch.cat([self.first[None], self.first + torch.cumsum(nn.functional.softplus(self.gaps), 0)])
        return self.f(x) - cuts


def ordinal_loss(logits, y):
    target = (y[:, None] > torch.arange(K - 1)).float()
    return nn.functional.binary_cross_entropy_with_logits(logits, target)


model = Ordinal()
opt = torch.optim.Adam([{"params": model.f.parameters()}, {"params": [model.first, model.gaps], "lr": 0.02}], lr=3e-3)
for epoch in range(15):
    model.train()
    losses = []
    for xb, yb in DataLoader(train, batch_size=50, shuffle=True):
        loss = ordinal_loss(model(xb), yb)
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
    model.eval()
    with torch.no_grad():
        out = model(X[1500:])
        grade = (out > 0).sum(1)
        mae = (grade - y[1500:]).abs().float().mean().item()
        acc = (grade == y[1500:]).float().mean().item()
        vl = ordinal_loss(out, y[1500:]).item()
    print(f"epoch {epoch:2d} train {np.mean(losses):.4f} val {vl:.4f} MAE {mae:.3f} exact {acc:.3f}")
