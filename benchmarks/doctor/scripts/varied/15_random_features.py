import math
import torch
import torch.nn as nn
from sklearn.datasets import make_friedman1

torch.manual_seed(15)
X, y = make_friedman1(2500, n_features=6, noise=0.5, random_state=15)
X = torch.tensor(X, dtype=torch.float32) * 2 - 1
y = torch.tensor(y, dtype=torch.float32)
Xtr, Xva, ytr, yva = X[:2000], X[2000:], y[:2000], y[2000:]
m, s = ytr.mean(), ytr.std()


class FourierRidge(nn.Module):
    """Random Fourier features (Rahimi & Recht): the projection is drawn once and never trained."""

    def __init__(self, d, n=400, scale=0.8):
        super().__init__()
        self.proj = nn.Linear(d, n)
        nn.init.normal_(self.proj.weight, std=scale)
        nn.init.uniform_(self.proj.bias, 0, 2 * math.pi)
        for p in self.proj.parameters():
            p.requires_grad_(False)
        self.head = nn.Linear(n, 1)
        self.amp = math.sqrt(2.0)

    def forward(self, x):
        return self.head(self.amp * torch.cos(self.proj(x))).squeeze(-1)


model = FourierRidge(6)
opt = torch.optim.SGD(model.head.parameters(), lr=4e-3, momentum=0.9, weight_decay=1e-4)
sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, 40)
for epoch in range(40):
    model.train()
    for b in torch.randperm(len(Xtr)).split(50):
        loss = (model(Xtr[b]) - (ytr[b] - m) / s).pow(2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
    sched.step()
    model.eval()
    with torch.no_grad():
        pred = model(Xva) * s + m
        r2 = 1 - (pred - yva).pow(2).mean() / yva.var()
    if epoch % 4 == 3:
        print(f"epoch {epoch + 1} mse {loss.item():.4f} held-out R2 {r2.item():.4f}")
