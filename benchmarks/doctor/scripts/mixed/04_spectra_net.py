"""Fat content of meat samples from near-infrared spectra."""
import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset, random_split

torch.manual_seed(11)
d = np.load('data/regression/meats_nir.npz')
spectra = torch.from_numpy(d['X'])
fat = torch.from_numpy(d['Y'][:, 1]).float()

g = torch.Generator().manual_seed(5)
train_idx, test_idx = random_split(range(len(fat)), [160, 55], generator=g)
train_idx, test_idx = list(train_idx), list(test_idx)
centre, width = spectra[train_idx].mean(0), spectra[train_idx].std(0)
spectra = (spectra - centre) / width
fat = (fat - fat[train_idx].mean()) / fat[train_idx].std()

train = TensorDataset(spectra[train_idx], fat[train_idx])
loader = DataLoader(train, batch_size=16, shuffle=True)


class Calibration(nn.Module):
    def __init__(self, bands=100, width=32):
        super().__init__()
        self.inp = nn.Linear(bands, width)
        self.mid = nn.Linear(width, width)
        self.out = nn.Linear(width, 1)

    def forward(self, s):
        h = torch.tanh(self.inp(s))
        h = torch.tanh(self.mid(h))
        return self.out(h).view(-1)


net = Calibration()
opt = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9, weight_decay=0.15)
sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=150)
mse = nn.MSELoss()
for epoch in range(150):
    net.train()
    for s, f in loader:
        opt.zero_grad()
        mse(net(s), f).backward()
        opt.step()
    sched.step()
    if (epoch + 1) % 10 == 0:
        net.eval()
        with torch.no_grad():
            a = mse(net(spectra[train_idx]), fat[train_idx]).item()
            b = mse(net(spectra[test_idx]), fat[test_idx]).item()
        print(f'{epoch + 1:4d} train mse {a:.4f} test mse {b:.4f}')
