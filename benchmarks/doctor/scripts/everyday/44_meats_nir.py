import numpy as np
import torch
from torch import nn
from sklearn.metrics import r2_score

torch.manual_seed(44)
rng = np.random.default_rng(44)
z = np.load("data/regression/meats_nir.npz")
spectra, fat = z["X"].astype(np.float64), z["Y"][:, 1]
perm = rng.permutation(len(spectra))
tr, va = perm[:160], perm[160:]

# scatter correction, then a smoothed second difference, as is usual for NIR spectra
snv = (spectra - spectra.mean(1, keepdims=True)) / spectra.std(1, keepdims=True)
d2 = snv[:, 8:] - 2 * snv[:, 4:-4] + snv[:, :-8]
mu, sd = d2[tr].mean(0), d2[tr].std(0)
x = torch.tensor((d2 - mu) / sd, dtype=torch.float32)
ym, ys = fat[tr].mean(), fat[tr].std()
t = torch.tensor((fat - ym) / ys, dtype=torch.float32)


class SpectrumNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(1, 6, kernel_size=9, stride=4, padding=4)
        self.lin = nn.Sequential(nn.ELU(), nn.Flatten(), nn.Linear(6 * 23, 24), nn.ELU(), nn.Linear(24, 1))

    def forward(self, x):
        return self.lin(self.conv(x.unsqueeze(1))).squeeze(-1)


net = SpectrumNet()
opt = torch.optim.AdamW(net.parameters(), lr=1.5e-3, weight_decay=0.05)
sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, 80)

for epoch in range(80):
    net.train()
    tot = 0.0
    for b in torch.tensor(rng.permutation(tr)).split(16):
        noisy = x[b] + 0.05 * torch.randn_like(x[b])
        loss = nn.functional.mse_loss(net(noisy), t[b])
        opt.zero_grad()
        loss.backward()
        opt.step()
        tot += loss.item() * len(b)
    sched.step()
    net.eval()
    with torch.no_grad():
        p = net(x[va])
    if epoch % 8 == 7:
        print(f"epoch {epoch + 1}: train {tot / len(tr):.4f} val {nn.functional.mse_loss(p, t[va]).item():.4f} "
              f"R2 fat {r2_score(fat[va], p.numpy() * ys + ym):.3f}")
