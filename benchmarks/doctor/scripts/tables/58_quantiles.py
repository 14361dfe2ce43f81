import numpy as np
import torch
from torch import nn
from torch.utils.data import TensorDataset, DataLoader, random_split

torch.manual_seed(1)
gen = np.random.RandomState(1)
# delivery time from distance, load and hour; skewed noise
n = 2500
km = gen.uniform(0, 20, n)
kg = gen.gamma(2, 4, n)
hour = gen.randint(0, 24, n)
rush = np.exp(-0.5 * ((hour - 17) / 2.0) ** 2)
minutes = 8 + 2.2 * km * (1 + 0.8 * rush) + 0.4 * kg + gen.exponential(1 + 0.35 * km, n)
feats = np.c_[km, kg, np.sin(hour / 24 * 2 * np.pi), np.cos(hour / 24 * 2 * np.pi)]
feats = (feats - feats.mean(0)) / feats.std(0)
target = (minutes - minutes.mean()) / minutes.std()

ds = TensorDataset(torch.tensor(feats, dtype=torch.float32), torch.tensor(target, dtype=torch.float32)[:, None])
train_ds, val_ds = random_split(ds, [2000, 500], generator=torch.Generator().manual_seed(7))
loader = DataLoader(train_ds, batch_size=50, shuffle=True)
xv, yv = val_ds[:]

QS = torch.tensor([0.1, 0.5, 0.9])


def pinball(pred, y):
    e = y - pred
    return torch.maximum(QS * e, (QS - 1) * e).mean()


class QuantileNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(4, 48)
        self.fc2 = nn.Linear(48, 48)
        self.fc3 = nn.Linear(48, len(QS))

    def forward(self, x):
        x = torch.relu(self.fc1(x))
        x = torch.relu(self.fc2(x))
        return self.fc3(x)


net = QuantileNet()
opt = torch.optim.NAdam(net.parameters(), lr=2e-3)
EPOCHS = 15
sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=EPOCHS)

for ep in range(EPOCHS):
    net.train()
    s = 0
    for xb, yb in loader:
        opt.zero_grad()
        loss = pinball(net(xb), yb)
        loss.backward()
        opt.step()
        s += loss.item()
    sched.step()
    net.eval()
    with torch.no_grad():
        q = net(xv)
        vl = pinball(q, yv).item()
        cover = ((yv >= q[:, :1]) & (yv <= q[:, 2:])).float().mean().item()
    print(f"ep {ep} train {s / len(loader):.4f} val {vl:.4f} coverage of the 80% band {cover:.3f}")
