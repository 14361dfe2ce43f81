import torch
from torch import nn
from torch.nn import functional as F
from sklearn.datasets import load_digits

torch.manual_seed(13)
X = torch.tensor(load_digits().data, dtype=torch.float32) / 16
X = X[torch.randperm(len(X))]
train, test = X[:1500], X[1500:]


class VAE(nn.Module):
    def __init__(self, d=64, h=96, k=8):
        super().__init__()
        self.enc = nn.Linear(d, h)
        self.mu = nn.Linear(h, k)
        self.logvar = nn.Linear(h, k)
        self.dec1 = nn.Linear(k, h)
        self.dec2 = nn.Linear(h, d)

    def forward(self, x):
        h = F.relu(self.enc(x))
        mu, logvar = self.mu(h), self.logvar(h)
        z = mu + torch.randn_like(mu) * (0.5 * logvar).exp() if self.training else mu
        return self.dec2(F.relu(self.dec1(z))), mu, logvar


def losses(out, x):
    rec, mu, logvar = out
    rec_loss = F.mse_loss(rec, x)
    kl = -0.5 * (1 + logvar - mu**2 - logvar.exp()).sum(1).mean()
    return rec_loss, kl


beta = 1.0
vae = VAE()
opt = torch.optim.Adam(vae.parameters(), lr=2e-3)
for epoch in range(30):
    vae.train()
    tot = 0.0
    for xb in train[torch.randperm(len(train))].split(50):
        rec, kl = losses(vae(xb), xb)
        loss = rec + beta * kl
        opt.zero_grad()
        loss.backward()
        opt.step()
        tot += loss.item() / 30
    vae.eval()
    with torch.no_grad():
        r, k = losses(vae(test), test)
        base = ((test - train.mean(0)) ** 2).mean()
    print(f"epoch {epoch} train {tot:.3f} test rec {r:.4f} kl {k:.2f} (mean image {base:.4f})")
