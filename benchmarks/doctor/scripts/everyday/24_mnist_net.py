import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(13)
npz = np.load("embedded/mnist_5k_1k.npz")
scale = lambda a: (torch.tensor(a, dtype=torch.float32).view(len(a), -1) / 255 - 0.13) / 0.31
train_ds = TensorDataset(scale(npz["x_train"][:1200]), torch.tensor(npz["y_train"][:1200]).long())
val_ds = TensorDataset(scale(npz["x_test"]), torch.tensor(npz["y_test"]).long())

train_loader = DataLoader(train_ds, batch_size=2, shuffle=True, drop_last=True)
val_loader = DataLoader(val_ds, batch_size=500)

model = nn.Sequential(
    nn.Linear(784, 96), nn.BatchNorm1d(96), nn.ReLU(),
    nn.Linear(96, 48), nn.BatchNorm1d(48), nn.ReLU(),
    nn.Linear(48, 10),
)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
criterion = nn.CrossEntropyLoss()


def run(loader, train):
    model.train(train)
    loss_sum = correct = count = 0
    with torch.set_grad_enabled(train):
        for x, y in loader:
            out = model(x)
            loss = criterion(out, y)
            if train:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            loss_sum += loss.item() * len(y)
            correct += (out.argmax(1) == y).sum().item()
            count += len(y)
    return loss_sum / count, correct / count


for epoch in range(3):
    tl, ta = run(train_loader, True)
    vl, va = run(val_loader, False)
    print(f"Epoch {epoch}: train loss {tl:.3f} acc {ta:.3f} | val loss {vl:.3f} acc {va:.3f}")
