import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(7)
d = np.load("embedded/fashion_mnist_5k_1k.npz")


def prep(a):
    return ((torch.from_numpy(a).float() / 255 - 0.286) / 0.353).flatten(1)


train_ds = TensorDataset(prep(d["x_train"]), torch.from_numpy(d["y_train"]).long())
test_ds = TensorDataset(prep(d["x_test"]), torch.from_numpy(d["y_test"]).long())
train_loader = DataLoader(train_ds, batch_size=64, shuffle=True)
test_loader = DataLoader(test_ds, batch_size=500)

net = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10))
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.995)


def evaluate():
    net.eval()
    hits = loss = 0.0
    with torch.inference_mode():
        for xb, yb in test_loader:
            out = net(xb)
            loss += criterion(out, yb).item() * len(yb)
            hits += (out.argmax(1) == yb).sum().item()
    return loss / len(test_ds), hits / len(test_ds)


for epoch in range(8):
    net.train()
    running = 0.0
    for xb, yb in train_loader:
        optimizer.zero_grad()
        loss = criterion(net(xb), yb)
        loss.backward()
        optimizer.step()
        running += loss.item()
    vl, va = evaluate()
    print(f"[{epoch + 1}] train {running / len(train_loader):.3f}  test {vl:.3f}  acc {va:.3f}")
