"""Gradient accumulation to fit the effective batch in memory."""
import argparse
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

p = argparse.ArgumentParser()
p.add_argument("--micro-batch", type=int, default=8)
p.add_argument("--accum-steps", type=int, default=8)
p.add_argument("--lr", type=float, default=5e-4)
p.add_argument("--epochs", type=int, default=5)
a = p.parse_args()

torch.manual_seed(77)
d = np.load("embedded/mnist_5k_1k.npz")
to = lambda k: ((torch.tensor(d[k], dtype=torch.float32)[:, ::2, ::2] / 255) - 0.13).flatten(1) / 0.31
train = DataLoader(TensorDataset(to("x_train"), torch.tensor(d["y_train"]).long()), a.micro_batch, shuffle=True, drop_last=True)
xv, yv = to("x_test"), torch.tensor(d["y_test"]).long()

model = nn.Sequential(nn.Linear(196, 96), nn.LayerNorm(96), nn.GELU(), nn.Linear(96, 10))
optimizer = torch.optim.SGD(model.parameters(), lr=a.lr, momentum=0.9, weight_decay=1e-4)
criterion = nn.CrossEntropyLoss()

for epoch in range(a.epochs):
    model.train()
    optimizer.zero_grad()
    running = 0.0
    for step, (x, y) in enumerate(train, 1):
        loss = criterion(model(x), y) / a.accum_steps
        loss.backward()
        running += loss.item() * a.accum_steps
        if step % a.accum_steps == 0:
            optimizer.step()
            optimizer.zero_grad()
    model.eval()
    with torch.no_grad():
        z = model(xv)
        print(f"epoch {epoch}: loss {running / len(train):.4f} val {criterion(z, yv):.4f} acc {(z.argmax(1) == yv).float().mean():.4f}")
