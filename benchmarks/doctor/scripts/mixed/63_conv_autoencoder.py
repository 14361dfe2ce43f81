import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
arr = np.load('embedded/mnist_5k_1k.npz')
tr = torch.from_numpy(arr['x_train'][:3000]).float().unsqueeze(1) / 255.
te = torch.from_numpy(arr['x_test'][:500]).float().unsqueeze(1) / 255.


class ConvAE(nn.Module):
    def __init__(self, z=16):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 8, 4, stride=2, padding=1), nn.ReLU(),
            nn.Conv2d(8, 16, 4, stride=2, padding=1), nn.ReLU(),
            nn.Flatten(), nn.Linear(16 * 49, z))
        self.decoder = nn.Sequential(
            nn.Linear(z, 16 * 49), nn.ReLU(), nn.Unflatten(1, (16, 7, 7)),
            nn.ConvTranspose2d(16, 8, 4, stride=2, padding=1), nn.ReLU(),
            nn.ConvTranspose2d(8, 1, 4, stride=2, padding=1), nn.Sigmoid())

    def forward(self, x):
        return self.decoder(self.encoder(x))


ae = ConvAE()
loss_fn = nn.BCELoss()
opt = torch.optim.Adam(ae.parameters(), lr=5e-3)
loader = DataLoader(TensorDataset(tr), batch_size=50, shuffle=True)
for epoch in range(5):
    ae.train()
    tot = 0
    for (xb,) in loader:
        opt.zero_grad()
        loss = loss_fn(ae(xb), xb)
        loss.backward()
        opt.step()
        tot += loss.item()
    ae.eval()
    with torch.no_grad():
        rec = ae(te)
        print(f'epoch {epoch}: bce {tot / len(loader):.4f} / {loss_fn(rec, te):.4f}  mse {(rec - te).pow(2).mean():.4f}')
