import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(22)
d = np.load("embedded/fashion_mnist_5k_1k.npz")
x = torch.from_numpy(d["x_train"]).float().view(-1, 1, 28, 28)
xt = torch.from_numpy(d["x_test"]).float().view(-1, 1, 28, 28)
x, xt = F.avg_pool2d(x, 2), F.avg_pool2d(xt, 2)
mu, sd = x.mean(), x.std()
x, xt = ((x - mu) / sd).flatten(1), ((xt - mu) / sd).flatten(1)
y, yt = torch.from_numpy(d["y_train"]).long(), torch.from_numpy(d["y_test"]).long()

model = nn.Sequential(nn.Linear(196, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10))
optimizer = torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.9, nesterov=True)
MICRO, ACCUM = 8, 16
EPOCHS = 10

for epoch in range(EPOCHS):
    model.train()
    optimizer.zero_grad()
    seen = 0.0
    batches = torch.randperm(len(x)).split(MICRO)
    for k, idx in enumerate(batches):
        loss = F.cross_entropy(model(x[idx]), y[idx])
        loss.backward()
        seen += loss.item()
        if (k + 1) % ACCUM == 0 or k + 1 == len(batches):
            optimizer.step()
            optimizer.zero_grad()
    model.eval()
    with torch.no_grad():
        logits = model(xt)
        acc = (logits.argmax(1) == yt).float().mean().item()
        vloss = F.cross_entropy(logits, yt).item()
    print(f"epoch {epoch + 1}/{EPOCHS} train {seen / len(batches):.3f} val {vloss:.3f} acc {acc:.3f}")
