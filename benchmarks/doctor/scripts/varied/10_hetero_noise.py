import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset, random_split

gen = torch.Generator().manual_seed(10)
torch.manual_seed(10)
x = torch.rand(3000, 2, generator=gen) * 2 - 1
mean = torch.sin(3 * x[:, 0]) + 0.5 * x[:, 1]
sigma = 0.05 + 0.8 * torch.sigmoid(4 * x[:, 1])
y = mean + sigma * torch.randn(3000, generator=gen)
train_set, val_set = random_split(TensorDataset(x, y), [2400, 600], generator=gen)
train_loader = DataLoader(train_set, batch_size=50, shuffle=True, generator=gen)
val_loader = DataLoader(val_set, batch_size=600)


class GaussNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(2, 48), nn.SiLU(), nn.Linear(48, 48), nn.SiLU())
        self.mu = nn.Linear(48, 1)
        self.log_var = nn.Linear(48, 1)

    def forward(self, x):
        h = self.body(x)
        return self.mu(h).squeeze(-1), self.log_var(h).squeeze(-1).clamp(-8, 4)


def nll(mu, log_var, y):
    return 0.5 * (log_var + (y - mu) ** 2 * torch.exp(-log_var)).mean()


net = GaussNet()
opt = torch.optim.NAdam(net.parameters(), lr=2e-3)
for epoch in range(25):
    net.train()
    tot = 0
    for xb, yb in train_loader:
        opt.zero_grad()
        loss = nll(*net(xb), yb)
        loss.backward()
        opt.step()
        tot += loss.item() / len(train_loader)
    net.eval()
    with torch.no_grad():
        for xb, yb in val_loader:
            mu, lv = net(xb)
            z = ((yb - mu) / (0.5 * lv).exp()).std()
            print(f"epoch {epoch:2d} nll {tot:.4f} val nll {nll(mu, lv, yb):.4f} z-score std {z:.3f} rmse {(yb - mu).pow(2).mean().sqrt():.3f}")
