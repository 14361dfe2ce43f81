import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

torch.manual_seed(17)
digits = load_digits()
X = (digits.data - 4.9) / 6.0
ink = digits.data.sum(1)
ink = (ink - ink.mean()) / ink.std()
Xa, Xb, ya, yb, ia, ib = train_test_split(X, digits.target, ink, test_size=0.25, random_state=1, stratify=digits.target)
as_t = lambda a, dt=torch.float32: torch.tensor(np.asarray(a), dtype=dt)
train = DataLoader(TensorDataset(as_t(Xa), as_t(ya, torch.long), as_t(ia)), batch_size=len(Xa), shuffle=True)


class TwoHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, 48), nn.ReLU())
        self.digit = nn.Linear(48, 10)
        self.ink = nn.Linear(48, 1)

    def forward(self, x):
        h = self.trunk(x)
        return self.digit(h), self.ink(h).squeeze(1)


net = TwoHeads()
ce, mse = nn.CrossEntropyLoss(), nn.SmoothL1Loss()
weight = 0.5
opt = torch.optim.NAdam(net.parameters(), lr=1e-3)
for epoch in range(12):
    net.train()
    for x, y, t in train:
        logits, value = net(x)
        loss = ce(logits, y) + weight * mse(value, t)
        opt.zero_grad()
        loss.backward()
        opt.step()
    net.eval()
    with torch.no_grad():
        logits, value = net(as_t(Xb))
        acc = (logits.argmax(1) == as_t(yb, torch.long)).float().mean()
        r2 = 1 - ((value - as_t(ib)) ** 2).mean() / as_t(ib).var()
    print(f"{epoch:2d} loss {loss.item():.3f} val digit acc {acc:.3f} ink R2 {r2:.3f}")
