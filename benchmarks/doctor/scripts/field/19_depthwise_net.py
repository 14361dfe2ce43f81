from types import SimpleNamespace

import numpy as np
import torch
from torch import nn

hp = SimpleNamespace(width=16, epochs=6, batch=50, lr=4e-3, wd=1e-2, seed=77,
                     mean=0.2860, std=0.3530)
torch.manual_seed(hp.seed)


class DepthwiseBlock(nn.Module):
    def __init__(self, c_in, c_out):
        super().__init__()
        self.depth = nn.Conv2d(c_in, c_in, 3, stride=2, padding=1, groups=c_in)
        self.point = nn.Conv2d(c_in, c_out, 1)
        self.act = nn.Hardswish()

    def forward(self, x):
        return self.act(self.point(self.depth(x)))


def network(w):
    return nn.Sequential(nn.Conv2d(1, w, 3, stride=2, padding=1), nn.Hardswish(),
                         DepthwiseBlock(w, 2 * w), DepthwiseBlock(2 * w, 4 * w),
                         nn.Flatten(), nn.Dropout(0.2), nn.Linear(4 * w * 16, 10))


archive = np.load("embedded/fashion_mnist_5k_1k.npz")
train_images = torch.from_numpy(archive["x_train"])
train_labels = torch.from_numpy(archive["y_train"]).long()
test_images = torch.from_numpy(archive["x_test"])
test_labels = torch.from_numpy(archive["y_test"]).long()


def training_batches():
    for idx in torch.randperm(len(train_labels)).split(hp.batch):
        x = train_images[idx, None].float() / 255
        flip = torch.rand(len(idx)) < 0.5
        x[flip] = x[flip].flip(-1)
        yield (x - hp.mean) / hp.std, train_labels[idx]


def predict(net, images):
    net.eval()
    with torch.no_grad():
        x = images[:, None].float() / 255
        return torch.cat([net(part) for part in x.split(250)]).argmax(1)


net = network(hp.width)
decay = [p for p in net.parameters() if p.ndim > 1]
no_decay = [p for p in net.parameters() if p.ndim <= 1]
opt = torch.optim.AdamW([{"params": decay, "weight_decay": hp.wd},
                         {"params": no_decay, "weight_decay": 0.0}], lr=hp.lr)
sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, hp.epochs)
criterion = nn.CrossEntropyLoss()

for epoch in range(hp.epochs):
    net.train()
    total, hits = 0.0, 0
    for x, y in training_batches():
        out = net(x)
        loss = criterion(out, y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        total += loss.item() * len(y)
        hits += (out.argmax(1) == y).sum().item()
    sched.step()
    acc = (predict(net, test_images) == test_labels).float().mean().item()
    print(f"{epoch + 1}: loss {total / len(train_labels):.4f} train acc {hits / len(train_labels):.4f} "
          f"test acc {acc:.4f}")
