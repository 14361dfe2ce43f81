"""Two tasks at once: which digit, and how much ink."""
import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(106)
raw, digit = load_digits(return_X_y=True)
raw, digit = torch.tensor(raw).float(), torch.tensor(digit)
noisy = raw + 2.0 * torch.randn_like(raw)
ink = (raw > 8).float().sum(1, keepdim=True)
perm = torch.randperm(len(raw))
noisy, digit, ink = noisy[perm], digit[perm], ink[perm]
n = 1400
X = (noisy - noisy[:n].mean()) / noisy[:n].std()
ink = (ink - ink[:n].mean()) / ink[:n].std()
loader = DataLoader(TensorDataset(X[:n], digit[:n], ink[:n]), batch_size=32, shuffle=True)


class TwoHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(64, 64), nn.GELU(), nn.Linear(64, 32), nn.GELU())
        self.cls = nn.Linear(32, 10)
        self.reg = nn.Linear(32, 1)

    def forward(self, x):
        h = self.trunk(x)
        return self.cls(h), self.reg(h)


model = TwoHeads()
opt = torch.optim.Adam(model.parameters(), lr=2e-3)
ce, mse = nn.CrossEntropyLoss(), nn.MSELoss()
for epoch in range(10):
    model.train()
    a = b = 0.0
    for x, t, v in loader:
        logits, value = model(x)
        lc, lr_ = ce(logits, t), mse(value, v)
        loss = lc + 0.5 * lr_
        opt.zero_grad()
        loss.backward()
        opt.step()
        a += lc.item() / len(loader)
        b += lr_.item() / len(loader)
    model.eval()
    with torch.no_grad():
        logits, value = model(X[n:])
    print(f"epoch {epoch} ce {a:.3f} mse {b:.3f} | val acc {(logits.argmax(1) == digit[n:]).float().mean():.3f} "
          f"val ink mse {mse(value, ink[n:]):.3f}")
