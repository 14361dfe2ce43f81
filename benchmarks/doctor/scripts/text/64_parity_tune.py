import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(14)
d = np.load("embedded/mnist_5k_1k.npz")
to = lambda a: torch.tensor((a.astype("float32") / 255 - 0.13) / 0.31).flatten(1)
x, y = to(d["x_train"]), torch.tensor(d["y_train"].astype("int64"))
xt, yt = to(d["x_test"]), torch.tensor(d["y_test"].astype("int64"))


def train(model, loader, optimizer, epochs, val, name):
    loss_fn = nn.CrossEntropyLoss()
    for epoch in range(1, epochs + 1):
        model.train()
        total = 0.0
        for xb, yb in loader:
            optimizer.zero_grad()
            loss = loss_fn(model(xb), yb)
            loss.backward()
            optimizer.step()
            total += loss.item()
        model.eval()
        with torch.no_grad():
            acc = (model(val[0]).argmax(1) == val[1]).float().mean().item()
        print(f"{name} {epoch}: loss {total / len(loader):.3f} acc {acc:.3f}")


body = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU())
digits = nn.Sequential(body, nn.Linear(64, 10))
train(digits, DataLoader(TensorDataset(x[:4600], y[:4600]), batch_size=64, shuffle=True),
      torch.optim.Adam(digits.parameters(), lr=1e-3), 4, (xt, yt), "pretrain")

parity = nn.Sequential(body, nn.Linear(64, 2))
small = DataLoader(TensorDataset(x[4600:], y[4600:] % 2), batch_size=16, shuffle=True)
optimizer = torch.optim.Adam(parity.parameters(), lr=2e-2)
train(parity, small, optimizer, 5, (xt, yt % 2), "finetune")
