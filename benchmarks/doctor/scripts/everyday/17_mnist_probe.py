import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(6)
z = np.load("embedded/mnist_5k_1k.npz")
X = torch.tensor(z["x_train"].reshape(-1, 784), dtype=torch.float32) / 255
Y = torch.tensor(z["y_train"]).long()
Xv = torch.tensor(z["x_test"].reshape(-1, 784), dtype=torch.float32) / 255
Yv = torch.tensor(z["y_test"]).long()

encoder = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 32))
decoder = nn.Sequential(nn.ReLU(), nn.Linear(32, 128), nn.ReLU(), nn.Linear(128, 784))

# stage 1: reconstruct digits, no labels
opt = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=2e-3)
mse = nn.MSELoss()
for epoch in range(6):
    for (xb,) in DataLoader(TensorDataset(X), batch_size=100, shuffle=True):
        loss = mse(decoder(encoder(xb)), xb)
        opt.zero_grad()
        loss.backward()
        opt.step()
    with torch.no_grad():
        print(f"autoencoder {epoch}: train {loss.item():.4f} val {mse(decoder(encoder(Xv)), Xv).item():.4f}")

# stage 2: the encoder stays as it is, a small classifier is fitted on few labelled rows
encoder.eval().requires_grad_(False)
with torch.no_grad():
    codes, codes_v = encoder(X[:2000]), encoder(Xv)
mu, sd = codes.mean(0), codes.std(0) + 1e-6
codes, codes_v = (codes - mu) / sd, (codes_v - mu) / sd

probe = nn.Sequential(nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 10))
opt = torch.optim.AdamW(probe.parameters(), lr=3e-3)
for epoch in range(12):
    probe.train()
    for xb, yb in DataLoader(TensorDataset(codes, Y[:2000]), batch_size=50, shuffle=True):
        opt.zero_grad()
        loss = nn.functional.cross_entropy(probe(xb), yb)
        loss.backward()
        opt.step()
    probe.eval()
    with torch.no_grad():
        acc = (probe(codes_v).argmax(1) == Yv).float().mean().item()
    print(f"probe {epoch}: train {loss.item():.4f} val acc {acc:.3f}")
