import torch
from torch import nn
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

torch.manual_seed(0)
X, y = load_digits(return_X_y=True)
X = (X - X.mean()) / X.std()
Xtr, Xva, ytr, yva = train_test_split(X, y, test_size=0.25, random_state=0, stratify=y)
Xtr, Xva = torch.tensor(Xtr).float(), torch.tensor(Xva).float()
ytr, yva = torch.tensor(ytr), torch.tensor(yva)

DEPTH, WIDTH = 12, 96


class DeepMLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.inp = nn.Linear(64, WIDTH)
        self.hidden = nn.ModuleList([nn.Linear(WIDTH, WIDTH) for _ in range(DEPTH)])
        self.out = nn.Linear(WIDTH, 10)
        for layer in self.hidden:
            nn.init.orthogonal_(layer.weight, gain=2.4)
            nn.init.zeros_(layer.bias)

    def forward(self, x):
        x = torch.relu(self.inp(x))
        for layer in self.hidden:
            x = torch.relu(layer(x))
        return self.out(x)


net = DeepMLP()
opt = torch.optim.Adam(net.parameters(), lr=5e-4)
criterion = nn.CrossEntropyLoss()

for epoch in range(15):
    net.train()
    perm = torch.randperm(len(Xtr))
    running = 0.0
    for i in range(0, len(Xtr), 64):
        idx = perm[i:i + 64]
        opt.zero_grad()
        loss = criterion(net(Xtr[idx]), ytr[idx])
        loss.backward()
        opt.step()
        running += loss.item() * len(idx)
    net.eval()
    with torch.no_grad():
        acc = (net(Xva).argmax(1) == yva).float().mean().item()
    print(f"epoch {epoch:2d} | loss {running / len(Xtr):.4f} | val acc {acc:.4f}")
