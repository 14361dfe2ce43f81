"""Twos against the rest, about one positive in ten; plain loss, scored by recall and precision."""
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(77)
d = np.load("embedded/mnist_5k_1k.npz")
prep = lambda a: (nn.functional.avg_pool2d(torch.from_numpy(a).float()[:, None] / 255, 2) - 0.13) / 0.27
bin_ = lambda a: torch.from_numpy((a == 2).astype(np.float32))
train_ds = TensorDataset(prep(d["x_train"]), bin_(d["y_train"]))
val_ds = TensorDataset(prep(d["x_test"]), bin_(d["y_test"]))


class Detector(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU(), nn.Flatten())
        self.out = nn.Linear(16 * 16, 1)

    def forward(self, x):
        return self.out(self.body(x)).squeeze(-1)


model = Detector()
criterion = nn.BCEWithLogitsLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for epoch in range(6):
    model.train()
    run = 0.0
    for x, t in DataLoader(train_ds, batch_size=50, shuffle=True):
        optimizer.zero_grad()
        loss = criterion(model(x), t)
        loss.backward()
        optimizer.step()
        run += loss.item()
    model.eval()
    tp = fp = fn = 0
    with torch.no_grad():
        for x, t in DataLoader(val_ds, batch_size=250):
            p = (model(x) > 0).float()
            tp += (p * t).sum().item()
            fp += (p * (1 - t)).sum().item()
            fn += ((1 - p) * t).sum().item()
    print(f"epoch {epoch} loss {run / 100:.4f} recall {tp / (tp + fn):.3f} precision {tp / max(tp + fp, 1):.3f}")
