import torch
from torch import nn, optim
from sklearn.datasets import make_moons
from sklearn.model_selection import train_test_split

torch.manual_seed(5)
X, y = make_moons(1500, noise=0.15, random_state=5)
X = (X - X.mean(0)) / X.std(0)
Xa, Xb, ya, yb = train_test_split(torch.tensor(X, dtype=torch.float32), torch.tensor(y, dtype=torch.float32).view(-1, 1),
                                  test_size=0.3, random_state=5)


class MoonClassifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.l1 = nn.Linear(2, 24)
        self.l2 = nn.Linear(24, 24)
        self.l3 = nn.Linear(24, 1)

    def forward(self, x):
        x = torch.relu(self.l1(x))
        x = torch.relu(self.l2(x))
        return torch.sigmoid(self.l3(x))


net = MoonClassifier()
criterion = nn.MSELoss()
opt = optim.SGD(net.parameters(), lr=0.1)

for epoch in range(30):
    net.train()
    perm = torch.randperm(len(Xa))
    for i in range(0, len(Xa), 32):
        rows = perm[i:i + 32]
        opt.zero_grad()
        loss = criterion(net(Xa[rows]), ya[rows])
        loss.backward()
        opt.step()
    net.eval()
    with torch.no_grad():
        p = net(Xb)
        print(f"{epoch:02d} train loss {loss.item():.4f} val loss {criterion(p, yb).item():.4f} "
              f"val acc {((p > 0.5).float() == yb).float().mean().item():.4f}")
