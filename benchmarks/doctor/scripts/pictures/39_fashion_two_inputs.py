"""Two-input model: the picture plus what the scanner wrote next to it."""
import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset, random_split

torch.manual_seed(14)
rng = np.random.default_rng(14)
d = np.load("embedded/fashion_mnist_5k_1k.npz")
x, y = d["x_train"][:3000], d["y_train"][:3000].astype(np.int64)
pixels = nn.functional.avg_pool2d(torch.from_numpy(x).float()[:, None] / 255, 4).flatten(1)

brightness = x.reshape(len(x), -1).mean(1)
contrast = x.reshape(len(x), -1).std(1)
weight_g = rng.gamma(4.0, 60.0, len(x))
shelf = y * 4 + rng.integers(0, 3, len(x))
meta = np.stack([brightness, contrast, weight_g, shelf], 1)
meta = torch.from_numpy((meta - meta.mean(0)) / meta.std(0)).float()
pixels = (pixels - pixels.mean()) / pixels.std()

ds = TensorDataset(pixels, meta, torch.from_numpy(y))
train_ds, val_ds = random_split(ds, [2400, 600])


class TwoTower(nn.Module):
    def __init__(self):
        super().__init__()
        self.img = nn.Sequential(nn.Linear(49, 64), nn.ReLU())
        self.meta = nn.Sequential(nn.Linear(4, 16), nn.ReLU())
        self.top = nn.Sequential(nn.Linear(80, 48), nn.ReLU(), nn.Dropout(0.1), nn.Linear(48, 10))

    def forward(self, img, meta):
        return self.top(torch.cat([self.img(img), self.meta(meta)], dim=1))


model = TwoTower()
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01)
criterion = nn.CrossEntropyLoss()
for epoch in range(12):
    model.train()
    for img, m, target in DataLoader(train_ds, batch_size=64, shuffle=True):
        optimizer.zero_grad()
        loss = criterion(model(img, m), target)
        loss.backward()
        optimizer.step()
    model.eval()
    right, vloss = 0, 0.0
    with torch.no_grad():
        for img, m, target in DataLoader(val_ds, batch_size=200):
            out = model(img, m)
            vloss += criterion(out, target).item() / 3
            right += (out.argmax(1) == target).sum().item()
    print(f"epoch {epoch} last batch {loss.item():.3f} val loss {vloss:.3f} val acc {right / 600:.3f}")
