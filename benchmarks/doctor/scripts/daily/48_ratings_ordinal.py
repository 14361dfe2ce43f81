# Ratings from 0 to 4, cumulative logits with shared weights
import torch
from torch import nn
from sklearn.datasets import make_friedman1

torch.manual_seed(17)
X, s = make_friedman1(3000, 8, noise=1.5, random_state=17)
X = torch.tensor((X - X.mean(0)) / X.std(0)).float()
s = torch.tensor(s)
cuts = torch.quantile(s[:2400], torch.tensor([0.1, 0.3, 0.65, 0.9], dtype=s.dtype))
y = torch.bucketize(s, cuts)
levels = (y[:, None] > torch.arange(4)).float()


class Coral(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(8, 48), nn.ReLU(), nn.Linear(48, 1, bias=False))
        self.bias = nn.Parameter(torch.tensor([1.5, 0.5, -0.5, -1.5]))

    def forward(self, x):
        return self.body(x) + self.bias


model = Coral()
opt = torch.optim.RMSprop(model.parameters(), lr=5e-3)
crit = nn.BCEWithLogitsLoss()
for epoch in range(20):
    model.train()
    tot = 0.0
    for b in torch.randperm(2400).split(64):
        opt.zero_grad()
        loss = crit(model(X[b]), levels[b])
        loss.backward()
        opt.step()
        tot += loss.item() * len(b)
    model.eval()
    with torch.no_grad():
        z = model(X[2400:])
        pred = (z > 0).sum(1)
    mae = (pred - y[2400:]).abs().float().mean()
    print(f"epoch {epoch} train {tot / 2400:.4f} val {crit(z, levels[2400:]):.4f} val MAE {mae:.3f} exact {(pred == y[2400:]).float().mean():.3f}")
