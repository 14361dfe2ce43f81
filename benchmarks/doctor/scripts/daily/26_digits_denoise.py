# Denoising autoencoder on the digits
import torch
from torch import nn
from sklearn.datasets import load_digits

torch.manual_seed(10)
X = torch.tensor(load_digits().data, dtype=torch.float32) / 16
perm = torch.randperm(len(X))
train, held = X[perm[:1400]], X[perm[1400:]]
held_noisy = held + 0.3 * torch.randn(held.shape)

ae = nn.Sequential(
    nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, 24), nn.ReLU(),
    nn.Linear(24, 96), nn.ReLU(), nn.Linear(96, 64), nn.Sigmoid())
opt = torch.optim.Adam(ae.parameters(), lr=2e-3)
mse = nn.MSELoss()
print("error of the noisy pictures", round(mse(held_noisy, held).item(), 4), "of the mean picture", round(mse(train.mean(0).expand_as(held), held).item(), 4))
for epoch in range(30):
    ae.train()
    total = 0.0
    for clean in train[torch.randperm(len(train))].split(50):
        noisy = clean + 0.3 * torch.randn_like(clean)
        loss = mse(ae(noisy), clean)
        opt.zero_grad()
        loss.backward()
        opt.step()
        total += loss.item() * len(clean)
    ae.eval()
    with torch.no_grad():
        print(f"epoch {epoch} train {total / len(train):.4f} held-out {mse(ae(held_noisy), held).item():.4f}")
