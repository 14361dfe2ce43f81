# Random shifts of the training pictures by up to two pixels
import numpy as np
import torch
from torch import nn
import torch.nn.functional as F
from torch.utils.data import Dataset, DataLoader

torch.manual_seed(30)
raw = np.load("embedded/mnist_5k_1k.npz")


class Digits(Dataset):
    def __init__(self, images, labels, shift=0):
        self.x = (torch.from_numpy(images).float() / 255 - 0.1307) / 0.3081
        self.y = torch.from_numpy(labels.astype(np.int64))
        self.shift = shift

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        x = self.x[i]
        if self.shift:
            s = self.shift
            p = F.pad(x, (s, s, s, s), value=-0.4242)
            a, b = torch.randint(0, 2 * s + 1, (2,)).tolist()
            x = p[a:a + 28, b:b + 28]
        return x.unsqueeze(0), self.y[i]


train = DataLoader(Digits(raw["x_train"][:3000], raw["y_train"][:3000], shift=2), batch_size=50, shuffle=True)
val = DataLoader(Digits(raw["x_test"], raw["y_test"]), batch_size=500)
model = nn.Sequential(nn.Conv2d(1, 12, 5, 2), nn.ReLU(), nn.Conv2d(12, 24, 5, 2), nn.ReLU(), nn.Flatten(), nn.Linear(384, 64), nn.ReLU(), nn.Linear(64, 10))
opt = torch.optim.NAdam(model.parameters(), lr=2e-3)
for epoch in range(8):
    model.train()
    tl = 0.0
    for x, y in train:
        opt.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        opt.step()
        tl += loss.item() / len(train)
    model.eval()
    ok, vl = 0, 0.0
    with torch.no_grad():
        for x, y in val:
            o = model(x)
            vl += F.cross_entropy(o, y, reduction="sum").item()
            ok += (o.argmax(1) == y).sum().item()
    print(f"epoch {epoch + 1} train {tl:.4f} val {vl / 1000:.4f} acc {ok / 1000:.4f}")
