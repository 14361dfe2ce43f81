import argparse
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser(description="VAE MNIST")
parser.add_argument("--batch-size", type=int, default=64)
parser.add_argument("--epochs", type=int, default=8)
parser.add_argument("--seed", type=int, default=1)
args = parser.parse_args()
torch.manual_seed(args.seed)

z = np.load("embedded/mnist_5k_1k.npz")
flat = lambda a: torch.tensor(a.reshape(len(a), -1), dtype=torch.float32) / 255
train_loader = DataLoader(TensorDataset(flat(z["x_train"])), batch_size=args.batch_size, shuffle=True)
x_val = flat(z["x_test"])


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(784, 128)
        self.fc21 = nn.Linear(128, 12)
        self.fc22 = nn.Linear(128, 12)
        self.fc3 = nn.Linear(12, 128)
        self.fc4 = nn.Linear(128, 784)

    def encode(self, x):
        h = F.relu(self.fc1(x))
        return self.fc21(h), self.fc22(h)

    def decode(self, code):
        return self.fc4(F.relu(self.fc3(code)))

    def forward(self, x):
        mu, logvar = self.encode(x)
        std = torch.exp(0.5 * logvar)
        return self.decode(mu + std * torch.randn_like(std)), mu, logvar


def loss_function(recon, x, mu, logvar):
    rec = F.binary_cross_entropy_with_logits(recon, x)
    kld = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp(), dim=1).mean()
    return rec + kld, rec, kld


model = VAE()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

for epoch in range(1, args.epochs + 1):
    model.train()
    sums = np.zeros(2)
    for (x,) in train_loader:
        optimizer.zero_grad()
        loss, rec, kld = loss_function(*[(o := model(x))[0], x, o[1], o[2]])
        loss.backward()
        optimizer.step()
        sums += rec.item(), kld.item()
    model.eval()
    with torch.no_grad():
        mu, _ = model.encode(x_val)
        err = F.mse_loss(torch.sigmoid(model.decode(mu)), x_val).item()
    rec, kld = sums / len(train_loader)
    print(f"epoch {epoch}: reconstruction {rec:.4f} kl {kld:.4f} | val pixel mse {err:.4f}")
