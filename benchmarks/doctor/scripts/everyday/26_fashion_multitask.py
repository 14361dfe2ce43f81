import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset, DataLoader

torch.manual_seed(8)


class Clothes(Dataset):
    def __init__(self, split, limit=None):
        z = np.load("embedded/fashion_mnist_5k_1k.npz")
        self.x = z[f"x_{split}"][:limit].astype(np.float32) / 255
        self.y = z[f"y_{split}"][:limit].astype(np.int64)
        self.ink = (self.x.mean((1, 2)) - 0.286) / 0.15

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        return (self.x[i].reshape(-1) - 0.286) / 0.353, self.y[i], self.ink[i]


class TwoTask(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(784, 96), nn.LeakyReLU(0.1), nn.Dropout(0.2), nn.Linear(96, 48), nn.LeakyReLU(0.1))
        self.kind = nn.Linear(48, 10)
        self.ink = nn.Linear(48, 1)

    def forward(self, x):
        h = self.trunk(x)
        return self.kind(h), self.ink(h).squeeze(1)


train_dl = DataLoader(Clothes("train", 4000), batch_size=64, shuffle=True)
val_dl = DataLoader(Clothes("test"), batch_size=256)
model = TwoTask()
opt = torch.optim.AdamW(model.parameters(), lr=1.5e-3, weight_decay=0.01)
ce, mse = nn.CrossEntropyLoss(), nn.MSELoss()

for epoch in range(7):
    model.train()
    a = b = 0.0
    for x, y, ink in train_dl:
        k, i = model(x)
        l1, l2 = ce(k, y), mse(i, ink)
        opt.zero_grad()
        (l1 + 0.5 * l2).backward()
        opt.step()
        a += l1.item()
        b += l2.item()
    model.eval()
    ok, err, n = 0, 0.0, 0
    with torch.inference_mode():
        for x, y, ink in val_dl:
            k, i = model(x)
            ok += (k.argmax(1) == y).sum().item()
            err += ((i - ink) ** 2).sum().item()
            n += len(y)
    print(f"epoch {epoch}: train ce {a / len(train_dl):.3f} mse {b / len(train_dl):.3f} | val acc {ok / n:.3f} ink mse {err / n:.3f}")
