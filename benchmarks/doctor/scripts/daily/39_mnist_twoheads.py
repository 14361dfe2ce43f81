# Two heads: the digit, and how much ink it takes (regression), fixed weights 1 and 0.5
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(13)
d = np.load("embedded/mnist_5k_1k.npz")
x, xv = (torch.from_numpy(d[k]).float() / 255 for k in ("x_train", "x_test"))
ink, inkv = x.mean((1, 2)), xv.mean((1, 2))
im, isd = ink.mean(), ink.std()
ink, inkv = (ink - im) / isd, (inkv - im) / isd
norm = lambda z: ((z - 0.1307) / 0.3081).unsqueeze(1)
y, yv = torch.from_numpy(d["y_train"]).long(), torch.from_numpy(d["y_test"]).long()
loader = DataLoader(TensorDataset(norm(x), y, ink), batch_size=64, shuffle=True)


class TwoHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(nn.Conv2d(1, 8, 5, 2), nn.ReLU(), nn.Conv2d(8, 16, 5, 2), nn.ReLU(), nn.Flatten(), nn.Linear(256, 64), nn.ReLU())
        self.digit = nn.Linear(64, 10)
        self.ink = nn.Linear(64, 1)

    def forward(self, z):
        h = self.trunk(z)
        return self.digit(h), self.ink(h).squeeze(1)


model = TwoHeads()
opt = torch.optim.Adam(model.parameters(), lr=4e-3)
sched = torch.optim.lr_scheduler.ExponentialLR(opt, gamma=0.75)
ce, mse = nn.CrossEntropyLoss(), nn.MSELoss()
for epoch in range(7):
    model.train()
    tot = 0.0
    for xb, yb, ib in loader:
        logits, amount = model(xb)
        loss = ce(logits, yb) + 0.5 * mse(amount, ib)
        opt.zero_grad()
        loss.backward()
        opt.step()
        tot += loss.item()
    sched.step()
    model.eval()
    with torch.no_grad():
        lo, am = model(norm(xv))
    print(f"epoch {epoch} train {tot / len(loader):.4f} val acc {(lo.argmax(1) == yv).float().mean():.4f} ink mse {mse(am, inkv):.4f}")
