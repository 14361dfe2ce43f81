import numpy as np
import torch
from torch import nn
from sklearn.datasets import make_friedman2
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

torch.manual_seed(33)
X, y = make_friedman2(n_samples=1600, noise=30.0, random_state=33)
Xtr, Xva, ytr, yva = train_test_split(X, y.reshape(-1, 1), test_size=0.25, random_state=33)
sx, sy = StandardScaler().fit(Xtr), StandardScaler().fit(ytr)
Xtr, Xva, ytr, yva = [torch.tensor(a, dtype=torch.float32) for a in
                      (sx.transform(Xtr), sx.transform(Xva), sy.transform(ytr), sy.transform(yva))]


class Block(nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.lin = nn.Linear(n_in, n_out)

    def forward(self, x):
        return torch.relu(self.lin(x))


class Regressor(nn.Module):
    def __init__(self, n_in, widths=(24, 24, 12)):
        super().__init__()
        sizes = (n_in, *widths)
        self.blocks = [Block(a, b) for a, b in zip(sizes[:-1], sizes[1:])]
        self.out = nn.Linear(widths[-1], 1)

    def forward(self, x):
        for b in self.blocks:
            x = b(x)
        return self.out(x)


model = Regressor(Xtr.shape[1])
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
criterion = nn.MSELoss()

for epoch in range(20):
    model.train()
    perm = np.random.RandomState(epoch).permutation(len(Xtr))
    tot = 0.0
    for i in range(0, len(perm), 40):
        b = perm[i:i + 40]
        optimizer.zero_grad()
        loss = criterion(model(Xtr[b]), ytr[b])
        loss.backward()
        optimizer.step()
        tot += loss.item() * len(b)
    model.eval()
    with torch.no_grad():
        v = criterion(model(Xva), yva).item()
    print(f"epoch {epoch + 1:02d}  train mse {tot / len(Xtr):.4f}  val mse {v:.4f}  val R2 {1 - v / yva.var().item():.3f}")
