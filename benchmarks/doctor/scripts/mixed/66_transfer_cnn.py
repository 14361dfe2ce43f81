"""Transfer: pre-train on fashion, then adapt the trunk to a small digit set."""
import copy
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

ROOT = "embedded/"
torch.manual_seed(21)


def read(name, n_train):
    z = np.load(ROOT + name)
    prep = lambda a: (torch.from_numpy(a).float()[:, None, ::2, ::2] / 255 - 0.2) / 0.33
    tr = TensorDataset(prep(z["x_train"])[:n_train], torch.from_numpy(z["y_train"]).long()[:n_train])
    te = TensorDataset(prep(z["x_test"]), torch.from_numpy(z["y_test"]).long())
    return DataLoader(tr, batch_size=50, shuffle=True), DataLoader(te, batch_size=500)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(),
        )
        self.head = nn.Linear(32 * 9, 10)

    def forward(self, x):
        return self.head(self.trunk(x))


def accuracy(net, loader):
    net.eval()
    with torch.no_grad():
        good = sum((net(x).argmax(1) == y).sum().item() for x, y in loader)
    return good / len(loader.dataset)


def fit(net, loader, test, opt, epochs, name):
    crit = nn.CrossEntropyLoss()
    for e in range(epochs):
        net.train()
        s = 0.0
        for x, y in loader:
            opt.zero_grad()
            loss = crit(net(x), y)
            loss.backward()
            opt.step()
            s += loss.item()
        print(f"{name} {e}: loss {s / len(loader):.3f} test {accuracy(net, test):.3f}")


src, src_test = read("fashion_mnist_5k_1k.npz", 4000)
net = Net()
fit(net, src, src_test, torch.optim.Adam(net.parameters(), 2e-3), 3, "source")

dst, dst_test = read("mnist_5k_1k.npz", 500)
net.head = nn.Linear(32 * 9, 10)
net.trunk.requires_grad_(False)
fit(net, dst, dst_test, torch.optim.Adam(net.head.parameters(), 5e-3), 8, "target")
