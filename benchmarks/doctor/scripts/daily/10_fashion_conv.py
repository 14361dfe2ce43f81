import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(9)
f = np.load("embedded/fashion_mnist_5k_1k.npz")
mean, std = f["x_train"].mean() / 255, f["x_train"].std() / 255
prep = lambda a: ((torch.tensor(a, dtype=torch.float32) / 255 - mean) / std)[:, None]
train_ds = TensorDataset(prep(f["x_train"][:1000]), torch.tensor(f["y_train"][:1000]).long())
test_ds = TensorDataset(prep(f["x_test"]), torch.tensor(f["y_test"]).long())
train_dl = DataLoader(train_ds, batch_size=2, shuffle=True, drop_last=True)
test_dl = DataLoader(test_ds, batch_size=200)


def block(cin, cout):
    return nn.Sequential(nn.Conv2d(cin, cout, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(cout), nn.ReLU())


model = nn.Sequential(block(1, 12), block(12, 24), nn.Flatten(), nn.Linear(24 * 49, 48, bias=False), nn.BatchNorm1d(48), nn.ReLU(), nn.Linear(48, 10))
loss_fn = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.002, momentum=0.9)

for epoch in range(3):
    model.train()
    tot = 0.0
    for xb, yb in train_dl:
        optimizer.zero_grad()
        loss = loss_fn(model(xb), yb)
        loss.backward()
        optimizer.step()
        tot += loss.item()
    model.eval()
    good, vloss = 0, 0.0
    with torch.no_grad():
        for xb, yb in test_dl:
            out = model(xb)
            good += (out.argmax(1) == yb).sum().item()
            vloss += loss_fn(out, yb).item() * len(yb)
    print(f"epoch {epoch + 1} train loss {tot / len(train_dl):.3f} test loss {vloss / 1000:.3f} test acc {good / 1000:.3f}")
