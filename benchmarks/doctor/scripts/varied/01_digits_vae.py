import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

torch.manual_seed(1)
x = torch.tensor(load_digits().data / 16.0, dtype=torch.float32)
perm = torch.randperm(len(x))
x_train, x_val = x[perm[:1500]], x[perm[1500:]]


class VAE(nn.Module):
    def __init__(self, d=64, h=96, z=8):
        super().__init__()
        self.enc = nn.Sequential(nn.Linear(d, h), nn.ReLU())
        self.mu = nn.Linear(h, z)
        self.logvar = nn.Linear(h, z)
        self.dec = nn.Sequential(nn.Linear(z, h), nn.ReLU(), nn.Linear(h, d))

    def forward(self, x):
        h = self.enc(x - 0.3)
        mu, logvar = self.mu(h), self.logvar(h)
        z = mu + torch.randn_like(mu) * (0.5 * logvar).exp() if self.training else mu
        return self.dec(z), mu, logvar


def elbo(x, out, mu, logvar, beta):
    rec = F.binary_cross_entropy_with_logits(out, x, reduction="none").sum(1)
    kl = 0.5 * (mu.pow(2) + logvar.exp() - 1 - logvar).sum(1)
    return (rec + beta * kl).mean(), rec.mean(), kl.mean()


model = VAE()
opt = torch.optim.Adam(model.parameters(), lr=5e-3)
epochs = 30
for epoch in range(epochs):
    model.train()
    beta = min(1.0, (epoch + 1) / 8)
    order = torch.randperm(len(x_train))
    for i in range(0, len(x_train), 64):
        b = x_train[order[i:i + 64]]
        loss, _, _ = elbo(b, *model(b), beta)
        opt.zero_grad()
        loss.backward()
        opt.step()
    model.eval()
    with torch.no_grad():
        total, rec, kl = elbo(x_val, *model(x_val), 1.0)
    print(f"epoch {epoch}: val -elbo {total:.3f} rec {rec:.3f} kl {kl:.3f}")
