# Four micro-batches of 16 to a step, the loss divided by four
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(25)
d = np.load("embedded/fashion_mnist_5k_1k.npz")
tx = lambda a: ((torch.from_numpy(a).float() / 255 - 0.286) / 0.353).unsqueeze(1)
ds = TensorDataset(tx(d["x_train"]), torch.from_numpy(d["y_train"]).long())
xv, yv = tx(d["x_test"]), torch.from_numpy(d["y_test"]).long()
loader = DataLoader(ds, batch_size=16, shuffle=True, drop_last=True)
ACCUM = 4

model = nn.Sequential(
    nn.Conv2d(1, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU(),
    nn.Flatten(), nn.Dropout(0.2), nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
criterion = nn.CrossEntropyLoss()
for epoch in range(5):
    model.train()
    optimizer.zero_grad()
    running = 0.0
    for i, (xb, yb) in enumerate(loader):
        loss = criterion(model(xb), yb) / ACCUM
        loss.backward()
        running += loss.item() * ACCUM
        if (i + 1) % ACCUM == 0:
            optimizer.step()
            optimizer.zero_grad()
    model.eval()
    with torch.no_grad():
        out = model(xv)
    print(f"epoch {epoch} train {running / len(loader):.4f} val {criterion(out, yv).item():.4f} acc {(out.argmax(1) == yv).float().mean().item():.4f}")
