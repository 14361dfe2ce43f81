import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(3)

z = np.load("embedded/fashion_mnist_5k_1k.npz")
mean, std = z["x_train"].mean() / 255, z["x_train"].std() / 255


def to_set(x, y):
    x = (torch.tensor(x, dtype=torch.float32) / 255 - mean) / std
    return TensorDataset(x.float(), torch.tensor(y, dtype=torch.long))


train_loader = DataLoader(to_set(z["x_train"], z["y_train"]), batch_size=64, shuffle=True)
val_loader = DataLoader(to_set(z["x_test"], z["y_test"]), batch_size=256)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.flatten = nn.Flatten()
        self.stack = nn.Sequential(
            nn.Linear(28 * 28, 128), nn.ReLU(),
            nn.Linear(128, 64), nn.ReLU(),
            nn.Linear(64, 10),
        )

    def forward(self, x):
        return self.stack(self.flatten(x))


model = Net()
loss_fn = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.02)


def train_loop(loader):
    model.train()
    total = 0.0
    optimizer.zero_grad()
    for X, y in loader:
        loss = loss_fn(model(X), y)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(y)
    return total / len(loader.dataset)


def test_loop(loader):
    model.eval()
    correct = 0
    with torch.no_grad():
        for X, y in loader:
            correct += (model(X).argmax(1) == y).sum().item()
    return correct / len(loader.dataset)


for epoch in range(10):
    tr = train_loop(train_loader)
    print(f"Epoch {epoch + 1}: train loss {tr:.4f}  val accuracy {test_loop(val_loader):.3f}")
