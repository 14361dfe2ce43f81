# Variational autoencoder, Bernoulli pixels
import torch
from torch import nn
import torch.nn.functional as F
import numpy as np

torch.manual_seed(11)
d = np.load("embedded/mnist_5k_1k.npz")
X = torch.from_numpy(d["x_train"].reshape(-1, 784)).float() / 255
Xv = torch.from_numpy(d["x_test"].reshape(-1, 784)).float() / 255


class VAE(nn.Module):
    def __init__(self, z=8):
        super().__init__()
        self.enc = nn.Sequential(nn.Linear(784, 128), nn.ReLU())
        self.mu, self.logvar = nn.Linear(128, z), nn.Linear(128, z)
        self.dec = nn.Sequential(nn.Linear(z, 128), nn.ReLU(), nn.Linear(128, 784))

    def forward(self, x):
        h = self.enc(x)
        mu, logvar = self.mu(h), self.logvar(h)
        z = mu + torch.randn_like(mu) * torch.exp(0.5 * logvar)
        return self.dec(z), mu, logvar


def elbo_terms(logits, x, mu, logvar):
    rec = F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(1).mean()
    kl = -0.5 * (1 + logvar - mu.pow(2) - logvar.exp()).sum(1).mean()
    return rec, kl


vae = VAE()
opt = torch.optim.Adam(vae.parameters(), lr=4e-3)
for epoch in range(12):
    vae.train()
    for b in torch.randperm(len(X)).split(100):
        logits, mu, logvar = vae(X[b])
        rec, kl = elbo_terms(logits, X[b], mu, logvar)
        loss = rec + kl
        opt.zero_grad()
        loss.backward()
        opt.step()
    vae.eval()
    with torch.no_grad():
        rec, kl = elbo_terms(vae(Xv)[0], Xv, *vae(Xv)[1:])
    print(f"epoch {epoch} train -elbo {loss.item():.1f} val rec {rec.item():.1f} kl {kl.item():.2f} -elbo {(rec + kl).item():.1f}")
