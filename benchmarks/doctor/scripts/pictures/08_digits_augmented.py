# strong random shifts, erasing and noise while training; clean pictures for validation
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, Dataset


class Digits(Dataset):
    def __init__(self, images, labels, augment=False):
        self.images, self.labels, self.augment = images, labels, augment

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        img = self.images[i]
        if self.augment:
            dx, dy = torch.randint(0, 3, (2,)).tolist()
            img = F.pad(img, (1, 1, 1, 1), value=-0.81)[:, dy:dy + 8, dx:dx + 8].clone()
            r, c = torch.randint(0, 6, (2,)).tolist()
            img[:, r:r + 2, c:c + 2] = 0.0
            img = img + 0.25 * torch.randn_like(img)
        return img, self.labels[i]


torch.manual_seed(2024)
raw = load_digits()
order = torch.randperm(len(raw.target))
imgs = ((torch.tensor(raw.images).float() / 16 - 0.305) / 0.376).unsqueeze(1)[order]
labs = torch.tensor(raw.target)[order]
train = DataLoader(Digits(imgs[:1400], labs[:1400], augment=True), batch_size=32, shuffle=True)
val = DataLoader(Digits(imgs[1400:], labs[1400:]), batch_size=100)

model = nn.Sequential(nn.Conv2d(1, 24, 3, padding=1), nn.BatchNorm2d(24), nn.ReLU(),
                      nn.Conv2d(24, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
                      nn.Flatten(), nn.Linear(512, 64), nn.ReLU(), nn.Linear(64, 10))
opt = torch.optim.Adam(model.parameters(), lr=1e-3)
for epoch in range(10):
    model.train()
    tot = 0.0
    for x, y in train:
        opt.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        opt.step()
        tot += loss.item()
    model.eval()
    n, vl = 0, 0.0
    with torch.no_grad():
        for x, y in val:
            out = model(x)
            vl += F.cross_entropy(out, y, reduction="sum").item()
            n += (out.argmax(1) == y).sum().item()
    print(f"epoch {epoch} train {tot / len(train):.3f} val {vl / 397:.3f} acc {n / 397:.3f}")
