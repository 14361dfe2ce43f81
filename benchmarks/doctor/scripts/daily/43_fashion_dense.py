import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(6)
d = np.load("embedded/fashion_mnist_5k_1k.npz")
def tensors(x, y):
    x = torch.tensor(x, dtype=torch.float32).flatten(1) / 255
    return (x - 0.286) / 0.353, torch.tensor(y, dtype=torch.int64)

xt, yt = tensors(d["x_train"], d["y_train"])
xv, yv = tensors(d["x_test"], d["y_test"])
train_loader = DataLoader(TensorDataset(xt, yt), batch_size=5000, shuffle=True)

model = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Dropout(0.2), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10))
opt = torch.optim.Adam(model.parameters(), lr=1e-3)
ce = nn.CrossEntropyLoss()

EPOCHS = 10
for epoch in range(EPOCHS):
    model.train()
    for xb, yb in train_loader:
        opt.zero_grad()
        loss = ce(model(xb), yb)
        loss.backward()
        opt.step()
    model.eval()
    with torch.no_grad():
        logits = model(xv)
    print(f"{epoch + 1}/{EPOCHS} train loss {loss.item():.4f} test loss {ce(logits, yv).item():.4f} test acc {(logits.argmax(1) == yv).float().mean().item():.4f}")
