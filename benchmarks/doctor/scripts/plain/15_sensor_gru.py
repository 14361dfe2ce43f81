"""Classify sensor windows (four kinds of motion) with a GRU."""
import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

SEED = 17
torch.manual_seed(SEED)
rng = np.random.default_rng(SEED)


def simulate(n, length=40):
    t = np.arange(length) / length
    label = rng.integers(0, 4, n)
    freq = np.array([2.0, 3.0, 4.0, 5.0])[label] + rng.normal(0, 0.25, n)
    phase = rng.uniform(0, 2 * np.pi, n)
    a = np.sin(2 * np.pi * freq[:, None] * t + phase[:, None])
    b = np.cos(2 * np.pi * freq[:, None] * t + phase[:, None])
    x = np.stack([a, b], -1) + rng.normal(0, 0.4, (n, length, 2))
    return torch.tensor(x, dtype=torch.float32), torch.tensor(label)


class GRUClassifier(nn.Module):
    def __init__(self, n_in=2, hidden=32, n_classes=4):
        super().__init__()
        self.rnn = nn.GRU(n_in, hidden, batch_first=True)
        self.fc = nn.Linear(hidden, n_classes)

    def forward(self, x):
        _, h = self.rnn(x)
        return self.fc(h[-1])


train_dl = DataLoader(TensorDataset(*simulate(3000)), batch_size=64, shuffle=True)
x_test, y_test = simulate(800)
model = GRUClassifier()
optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
criterion = nn.CrossEntropyLoss()

for epoch in range(10):
    model.train()
    losses = []
    for xb, yb in train_dl:
        optimizer.zero_grad()
        loss = criterion(model(xb), yb)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    model.eval()
    with torch.no_grad():
        out = model(x_test)
        val_loss = criterion(out, y_test).item()
        acc = (out.argmax(1) == y_test).float().mean().item()
    print(f"epoch {epoch + 1}: train loss {np.mean(losses):.4f}, val loss {val_loss:.4f}, val acc {acc:.3f}")
