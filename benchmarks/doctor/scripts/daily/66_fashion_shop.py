import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset, DataLoader

torch.manual_seed(27)
blob = np.load("embedded/fashion_mnist_5k_1k.npz")
MEAN, STD = 0.2860, 0.3530


class Fashion(Dataset):
    def __init__(self, images, labels, transform):
        self.images, self.labels, self.transform = images, labels, transform

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        return self.transform(self.images[i]), int(self.labels[i])


def train_transform(img):
    t = torch.from_numpy(img).float().unsqueeze(0) / 255
    if torch.rand(()) < 0.5:
        t = t.flip(-1)
    return (t - MEAN) / STD


def val_transform(img):
    t = torch.from_numpy(img).float().unsqueeze(0) / 255
    return t


train_dl = DataLoader(Fashion(blob["x_train"], blob["y_train"], train_transform), batch_size=64, shuffle=True)
val_dl = DataLoader(Fashion(blob["x_test"], blob["y_test"], val_transform), batch_size=250)
model = nn.Sequential(nn.Conv2d(1, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(784, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
criterion = nn.CrossEntropyLoss()

for epoch in range(7):
    model.train()
    tl = 0.0
    for x, y in train_dl:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        tl += loss.item() / len(train_dl)
    model.eval()
    vl = correct = 0.0
    with torch.no_grad():
        for x, y in val_dl:
            out = model(x)
            vl += criterion(out, y).item() / len(val_dl)
            correct += (out.argmax(1) == y).sum().item()
    print(f"Epoch {epoch + 1} train loss {tl:.3f} val loss {vl:.3f} val acc {correct / 1000:.3f}")
