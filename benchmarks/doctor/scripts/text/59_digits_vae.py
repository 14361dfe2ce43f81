import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

torch.manual_seed(1)
images = load_digits().data / 16.0
train, test = train_test_split(torch.tensor(images, dtype=torch.float32), test_size=0.2, random_state=0)


class VAE(nn.Module):
    def __init__(self, latent=8):
        super().__init__()
        self.enc = nn.Sequential(nn.Linear(64, 128), nn.ReLU())
        self.mu = nn.Linear(128, latent)
        self.logvar = nn.Linear(128, latent)
        self.dec = nn.Sequential(nn.Linear(latent, 128), nn.ReLU(), nn.Linear(128, 64))

    def forward(self, x):
        h = self.enc(x)
        mu, logvar = self.mu(h), self.logvar(h)
        z = mu + torch.randn_like(mu) * torch.exp(0.5 * logvar) if self.training else mu
        return self.dec(z), mu, logvar


def loss_function(logits, x, mu, logvar, beta=1.0):
    recon = F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(1).mean()
    kl = (-0.5 * (1 + logvar - mu.pow(2) - logvar.exp())).sum(1).mean()
    return recon + beta * kl, recon, kl


vae = VAE()
opt = torch.optim.Adam(vae.parameters(), lr=2e-3)
for epoch in range(30):
    vae.train()
    order = torch.randperm(len(train))
    for i in range(0, len(train), 64):
        x = train[order[i:i + 64]]
        loss, recon, kl = loss_function(*((out := vae(x))[:1]), x, *out[1:])
        opt.zero_grad()
        loss.backward()
        opt.step()
    if epoch % 3 == 2:
        vae.eval()
        with torch.no_grad():
            logits, mu, logvar = vae(test)
            _, r, k = loss_function(logits, test, mu, logvar)
            mse = F.mse_loss(torch.sigmoid(logits), test).item()
        print(f"epoch {epoch + 1}: loss {loss.item():.2f} val recon {r.item():.2f} kl {k.item():.2f} mse {mse:.4f} (var {test.var(0).mean().item():.4f})")
