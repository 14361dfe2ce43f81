import os
import random
import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import Dataset, DataLoader


class CFG:
    seed = 2024
    epochs = 4
    bs = 64
    lr = 1e-3
    wd = 1e-2
    drop = 0.95
    path = "embedded/fashion_mnist_5k_1k.npz"


def seed_everything(seed):
    random.seed(seed)
    os.environ["PYTHONHASHSEED"] = str(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


class FashionDS(Dataset):
    def __init__(self, images, labels):
        self.images = torch.from_numpy(images).float().unsqueeze(1) / 255.0
        self.images = (self.images - 0.286) / 0.353
        self.labels = torch.from_numpy(labels).long()

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        return self.images[i], self.labels[i]


class SmallCNN(nn.Module):
    def __init__(self, n_classes=10):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 12, 3, stride=2, padding=1), nn.BatchNorm2d(12), nn.ReLU(),
            nn.Conv2d(12, 24, 3, stride=2, padding=1), nn.BatchNorm2d(24), nn.ReLU(),
        )
        self.head = nn.Sequential(nn.Flatten(), nn.Dropout(CFG.drop), nn.Linear(24 * 49, n_classes))

    def forward(self, x):
        return self.head(self.body(x))


def train_fn(loader, model, opt, crit):
    model.train()
    tot = 0
    for xb, yb in loader:
        opt.zero_grad(set_to_none=True)
        loss = crit(model(xb), yb)
        loss.backward()
        opt.step()
        tot += loss.item()
    return tot / len(loader)


@torch.no_grad()
def valid_fn(loader, model, crit):
    model.eval()
    preds, targs, tot = [], [], 0
    for xb, yb in loader:
        out = model(xb)
        tot += crit(out, yb).item()
        preds.append(out.argmax(1))
        targs.append(yb)
    acc = (torch.cat(preds) == torch.cat(targs)).float().mean().item()
    return tot / len(loader), acc


seed_everything(CFG.seed)
d = np.load(CFG.path)
train_dl = DataLoader(FashionDS(d["x_train"], d["y_train"]), batch_size=CFG.bs, shuffle=True)
valid_dl = DataLoader(FashionDS(d["x_test"], d["y_test"]), batch_size=256)
model = SmallCNN()
opt = torch.optim.AdamW(model.parameters(), lr=CFG.lr, weight_decay=CFG.wd)
crit = nn.CrossEntropyLoss()
best = 0
for ep in range(CFG.epochs):
    tl = train_fn(train_dl, model, opt, crit)
    vl, acc = valid_fn(valid_dl, model, crit)
    best = max(best, acc)
    print(f"[{ep}] train_loss={tl:.4f} valid_loss={vl:.4f} acc={acc:.4f} best={best:.4f}")
