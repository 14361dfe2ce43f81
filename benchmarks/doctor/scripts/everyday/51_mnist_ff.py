import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(51)
z = np.load("embedded/mnist_5k_1k.npz")


def images(a):
    return torch.tensor(a, dtype=torch.float32).reshape(len(a), 784) / 255.0 - 0.13


train_loader = DataLoader(TensorDataset(images(z["x_train"]), torch.tensor(z["y_train"]).long()), batch_size=64, shuffle=True)
val_x, val_y = images(z["x_test"]), torch.tensor(z["y_test"]).long()


class FeedForward(nn.Module):
    def __init__(self, hidden=(128, 64), bias=0.0):
        super().__init__()
        sizes = [784, *hidden]
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes[:-1], sizes[1:]))
        self.out = nn.Linear(hidden[-1], 10)
        for layer in self.hidden:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.constant_(layer.bias, bias)

    def forward(self, x):
        for layer in self.hidden:
            x = torch.relu(layer(x))
        return self.out(x)


model = FeedForward(bias=-1.0)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
loss_fn = nn.CrossEntropyLoss()

for epoch in range(8):
    model.train()
    total = 0.0
    for x, y in train_loader:
        optimizer.zero_grad()
        loss = loss_fn(model(x), y)
        loss.backward()
        optimizer.step()
        total += loss.item()
    model.eval()
    with torch.no_grad():
        logits = model(val_x)
        acc = (logits.argmax(1) == val_y).float().mean().item()
        print(f"epoch {epoch + 1} | train {total / len(train_loader):.4f} | val {loss_fn(logits, val_y).item():.4f} | acc {acc:.4f}")
