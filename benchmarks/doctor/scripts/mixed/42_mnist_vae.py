import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(5)
z = np.load("embedded/mnist_5k_1k.npz")
x_train = torch.tensor(z["x_train"], dtype=torch.float32).flatten(1) / 255
x_val = torch.tensor(z["x_test"], dtype=torch.float32).flatten(1) / 255


class VAE(nn.Module):
    def __init__(self, latent=12):
        super().__init__()
        self.enc = nn.Sequential(nn.Linear(784, 200), nn.ReLU())
        self.mu, self.logvar = nn.Linear(200, latent), nn.Linear(200, latent)
        self.dec = nn.Sequential(nn.Linear(latent, 200), nn.ReLU(), nn.Linear(200, 784))

    def forward(self, x):
        h = self.enc(x)
        mu, logvar = self.mu(h), self.logvar(h)
        s = mu + torch.randn_like(mu) * (0.5 * logvar).exp() if self.training else mu
        return self.dec(s), mu, logvar


def parts(model, x):
    out, mu, logvar = model(x)
    rec = F.binary_cross_entropy_with_logits(out, x, reduction="none").mean()
    kl = -0.5 * (1 + logvar - mu.pow(2) - logvar.exp()).sum(1).mean()
    return rec, kl


beta = 1.0
vae = VAE()
opt = torch.optim.Adam(vae.parameters(), lr=2e-3)
for epoch in range(1, 9):
    vae.train()
    log = []
    for idx in torch.randperm(len(x_train)).split(64):
        rec, kl = parts(vae, x_train[idx])
        loss = rec + beta * kl
        opt.zero_grad()
        loss.backward()
        opt.step()
        log.append((rec.item(), kl.item()))
    vae.eval()
    with torch.no_grad():
        vrec, vkl = parts(vae, x_val)
    a, b = np.mean(log, axis=0)
    print(f"epoch {epoch}  rec {a:.1f} kl {b:.1f}  |  val rec {vrec:.1f} kl {vkl:.1f}")
