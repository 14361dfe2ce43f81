import numpy as np
import torch
from torch import nn
from torch.nn import functional as F


class VAE(nn.Module):
    def __init__(self, latent=12, hidden=128):
        super().__init__()
        self.enc = nn.Sequential(nn.Linear(784, hidden), nn.ReLU())
        self.mu, self.logvar = nn.Linear(hidden, latent), nn.Linear(hidden, latent)
        self.dec = nn.Sequential(nn.Linear(latent, hidden), nn.ReLU(), nn.Linear(hidden, 784))

    def forward(self, x):
        h = self.enc(x)
        mu, logvar = self.mu(h), self.logvar(h)
        z = mu
        if self.training:
            z = mu + torch.randn_like(mu) * torch.exp(0.5 * logvar)
        return self.dec(z), mu, logvar


def vae_loss(logits, x, mu, logvar):
    recon = F.binary_cross_entropy_with_logits(logits, x, reduction="none").mean(1)
    kl = -0.5 * (1 + logvar - mu.pow(2) - logvar.exp()).sum(1)
    return (recon + kl).mean(), recon.mean(), kl.mean()


def load(name):
    z = np.load("embedded/mnist_5k_1k.npz")
    return torch.from_numpy(z[name]).float().view(-1, 784) / 255.0


def main():
    torch.manual_seed(17)
    train, test = load("x_train"), load("x_test")
    model = VAE()
    opt = torch.optim.Adam(model.parameters(), lr=1.5e-3)
    for epoch in range(1, 9):
        model.train()
        sums = torch.zeros(3)
        steps = 0
        for batch in train[torch.randperm(len(train))].split(64):
            logits, mu, logvar = model(batch)
            loss, recon, kl = vae_loss(logits, batch, mu, logvar)
            opt.zero_grad()
            loss.backward()
            opt.step()
            sums += torch.stack([loss, recon, kl]).detach()
            steps += 1
        if epoch % 2 == 0:
            model.eval()
            with torch.no_grad():
                logits, mu, _ = model(test)
                err = F.mse_loss(torch.sigmoid(logits), test)
            total, recon, kl = (sums / steps).tolist()
            print(f"epoch {epoch:2d} loss {total:.4f} recon {recon:.4f} kl {kl:.4f} | test mse {err:.5f}")
    baseline = F.mse_loss(train.mean(0).expand_as(test), test)
    print(f"test reconstruction mse {err:.5f} (mean image {baseline:.5f})")


if __name__ == "__main__":
    main()
