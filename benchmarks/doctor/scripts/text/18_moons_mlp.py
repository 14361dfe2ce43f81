import torch
from torch import nn
from sklearn.datasets import make_moons
from sklearn.model_selection import train_test_split

torch.manual_seed(30)
X, y = make_moons(1500, noise=0.15, random_state=3)
X = (X - X.mean(0)) / X.std(0)
xtr, xte, ytr, yte = [torch.tensor(a, dtype=torch.float32) for a in train_test_split(X, y, test_size=0.3, random_state=0)]

layers = [nn.Linear(2, 32)]
for _ in range(2):
    layers += [nn.Linear(32, 32)]
layers.append(nn.Linear(32, 1))
net = nn.Sequential(*layers)
for m in net:
    if isinstance(m, nn.Linear):
        nn.init.xavier_uniform_(m.weight, gain=1.0)
        nn.init.zeros_(m.bias)

bce = nn.BCEWithLogitsLoss()
opt = torch.optim.Adam(net.parameters(), lr=1e-3)
for epoch in range(15):
    perm = torch.randperm(len(xtr))
    total = 0.0
    for i in range(0, len(xtr), 35):
        b = perm[i:i + 35]
        loss = bce(net(xtr[b]).squeeze(1), ytr[b])
        opt.zero_grad()
        loss.backward()
        opt.step()
        total += loss.item()
    with torch.no_grad():
        acc = ((net(xte).squeeze(1) > 0) == (yte > 0.5)).float().mean().item()
    print(f"{epoch:02d} loss {total / 30:.4f} test acc {acc:.3f}")
