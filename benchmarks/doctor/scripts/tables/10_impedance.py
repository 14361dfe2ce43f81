import torch
from torch import nn
from sklearn.datasets import make_friedman2
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(19)
X, y = make_friedman2(n_samples=2500, noise=40.0, random_state=19)
X = (X - X[:2000].mean(0)) / X[:2000].std(0)
y = (y - y[:2000].mean()) / y[:2000].std()
X, y = torch.from_numpy(X).float(), torch.from_numpy(y).float().view(-1, 1)
loader = DataLoader(TensorDataset(X[:2000], y[:2000]), batch_size=50, shuffle=True)


class Deep(nn.Module):
    def __init__(self, width=40, depth=9):
        super().__init__()
        self.first = nn.Linear(4, width)
        self.blocks = nn.ModuleList([nn.Linear(width, width) for _ in range(depth)])
        self.last = nn.Linear(width, 1)

    def forward(self, x):
        x = torch.sigmoid(self.first(x))
        for block in self.blocks:
            x = torch.sigmoid(block(x))
        return self.last(x)


model = Deep()
opt = torch.optim.Adam(model.parameters(), lr=5e-4)
criterion = nn.MSELoss()
for epoch in range(12):
    model.train()
    for xb, yb in loader:
        opt.zero_grad()
        loss = criterion(model(xb), yb)
        loss.backward()
        opt.step()
    model.eval()
    with torch.no_grad():
        tr = criterion(model(X[:2000]), y[:2000]).item()
        va = criterion(model(X[2000:]), y[2000:]).item()
    print(f"epoch {epoch}: train mse {tr:.4f}, val mse {va:.4f}")
