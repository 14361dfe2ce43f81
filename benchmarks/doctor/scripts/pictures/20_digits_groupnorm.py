import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset, random_split


class ResBlock(nn.Module):
    def __init__(self, ch, groups=4):
        super().__init__()
        self.c1 = nn.Conv2d(ch, ch, 3, padding=1)
        self.n1 = nn.GroupNorm(groups, ch)
        self.c2 = nn.Conv2d(ch, ch, 3, padding=1)
        self.n2 = nn.GroupNorm(groups, ch)

    def forward(self, x):
        h = F.relu(self.n1(self.c1(x)))
        return F.relu(x + self.n2(self.c2(h)))


class ResNet(nn.Module):
    def __init__(self, ch=16, depth=3, n_out=10):
        super().__init__()
        self.stem = nn.Conv2d(1, ch, 3, padding=1)
        self.body = nn.Sequential(*[ResBlock(ch) for _ in range(depth)])
        self.fc = nn.Linear(ch * 4, n_out)

    def forward(self, x):
        x = self.body(F.relu(self.stem(x)))
        x = F.adaptive_avg_pool2d(x, 2).flatten(1)
        return self.fc(x)


def accuracy(model, loader):
    model.eval()
    n = c = 0
    with torch.no_grad():
        for x, y in loader:
            c += (model(x).argmax(1) == y).sum().item()
            n += y.numel()
    return c / n


def fit(epochs=6, lr=1e-3, bs=32):
    torch.manual_seed(42)
    X, y = load_digits(return_X_y=True)
    X = torch.tensor(X, dtype=torch.float32).view(-1, 1, 8, 8)
    X = (X - 4.9) / 6.0
    y = torch.tensor(y)
    ds = TensorDataset(X, y)
    tr, va = random_split(ds, [1400, len(ds) - 1400], generator=torch.Generator().manual_seed(7))
    tl = DataLoader(tr, batch_size=bs, shuffle=True)
    vl = DataLoader(va, batch_size=128)
    model = ResNet()
    for block in (model.stem, model.body):
        block.requires_grad_(False)
    optimizer = torch.optim.RMSprop([p for p in model.parameters() if p.requires_grad], lr=lr)
    for epoch in range(epochs):
        model.train()
        losses = []
        for xb, yb in tl:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(xb), yb)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        print(epoch, "loss", sum(losses) / len(losses), "train", accuracy(model, tl), "val", accuracy(model, vl))


fit()
