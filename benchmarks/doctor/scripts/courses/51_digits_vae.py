"""Variational autoencoder on the 8x8 digits."""
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(35)
data = torch.tensor(load_digits().data, dtype=torch.float32) / 16.0
data = data[torch.randperm(len(data))]
train, test = data[:1500], data[1500:]
center = train.mean(0)
loader = DataLoader(TensorDataset(train), batch_size=32, shuffle=True)


class VAE(nn.Module):
    def __init__(self, latent=8):
        super().__init__()
        self.enc = nn.Sequential(nn.Linear(64, 96), nn.ReLU())
        self.mu, self.logvar = nn.Linear(96, latent), nn.Linear(96, latent)
        self.dec = nn.Sequential(nn.Linear(latent, 96), nn.ReLU(), nn.Linear(96, 64))

    def forward(self, x):
        h = self.enc((x - center) * 3)
        mu, logvar = self.mu(h), self.logvar(h)
        z = mu + torch.randn_like(mu) * (0.5 * logvar).exp() if self.training else mu
        return self.dec(z), mu, logvar


def terms(model, x):
    logits, mu, logvar = model(x)
    rec = F.binary_cross_entropy_with_logits(logits, x)
    kl = -0.5 * (1 + logvar - mu ** 2 - logvar.exp()).sum(1).mean()
    return rec, kl, logits


model = VAE()
opt = torch.optim.Adam(model.parameters(), lr=2e-3)
for epoch in range(15):
    model.train()
    tr, tk = 0.0, 0.0
    for (x,) in loader:
        rec, kl, _ = terms(model, x)
        loss = rec + kl
        opt.zero_grad()
        loss.backward()
        opt.step()
        tr += rec.item() / len(loader)
        tk += kl.item() / len(loader)
    model.eval()
    with torch.no_grad():
        _, _, logits = terms(model, test)
        err = F.mse_loss(torch.sigmoid(logits), test).item()
    print(f"epoch {epoch:2d} rec {tr:.3f} kl {tk:.3f} | test pixel mse {err:.4f} (mean image {F.mse_loss(center.expand_as(test), test):.4f})")
