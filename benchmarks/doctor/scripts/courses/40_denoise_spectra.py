"""Denoising autoencoder for near-infrared spectra of meat."""
import numpy as np
import torch
from torch import nn

torch.manual_seed(113)
spectra = torch.tensor(np.load("data/regression/meats_nir.npz")["X"]).float()
spectra = spectra - spectra.mean(1, keepdim=True)
perm = torch.randperm(len(spectra))
train, val = spectra[perm[:170]], spectra[perm[170:]]
m, s = train.mean(0), train.std()
train, val = (train - m) / s, (val - m) / s


class DAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.down = nn.Sequential(nn.Linear(100, 48), nn.SiLU(), nn.Linear(48, 6))
        self.up = nn.Sequential(nn.Linear(6, 48), nn.SiLU(), nn.Linear(48, 100))

    def forward(self, x):
        return self.up(self.down(x))


model = DAE()
opt = torch.optim.Adam(model.parameters(), lr=3e-3)
sched = torch.optim.lr_scheduler.ExponentialLR(opt, 0.96)
loss_fn = nn.MSELoss()
fixed_noise = 0.3 * torch.randn(val.shape, generator=torch.Generator().manual_seed(0))
for epoch in range(50):
    model.train()
    total = 0.0
    for idx in torch.randperm(len(train)).split(17):
        clean = train[idx]
        loss = loss_fn(model(clean + 0.3 * torch.randn_like(clean)), clean)
        opt.zero_grad()
        loss.backward()
        opt.step()
        total += loss.item() * len(idx)
    sched.step()
    model.eval()
    with torch.no_grad():
        v = loss_fn(model(val + fixed_noise), val).item()
    if epoch % 5 == 4:
        print(f"epoch {epoch + 1}: train {total / len(train):.4f} val {v:.4f} (noise itself {fixed_noise.square().mean():.4f})")
