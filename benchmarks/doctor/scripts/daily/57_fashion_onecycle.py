import argparse
import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

ap = argparse.ArgumentParser()
ap.add_argument("--epochs", type=int, default=6)
ap.add_argument("--max-lr", type=float, dest="top", default=0.15)
args = ap.parse_args()
torch.manual_seed(6)
d = np.load("embedded/fashion_mnist_5k_1k.npz")
x = torch.from_numpy(d["x_train"])[:, None].float() / 255
xv = torch.from_numpy(d["x_test"])[:, None].float() / 255
mean, std = x.mean(), x.std()
train = DataLoader(TensorDataset((x - mean) / std, torch.from_numpy(d["y_train"]).long()), batch_size=64, shuffle=True, drop_last=True)
xv, yv = (xv - mean) / std, torch.from_numpy(d["y_test"]).long()


def cbr(i, o):
    return nn.Sequential(nn.Conv2d(i, o, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(inplace=True))


net = nn.Sequential(cbr(1, 12), cbr(12, 24), cbr(24, 48), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(48, 10))
opt = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4, nesterov=True)
sched = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=args.top, epochs=args.epochs, steps_per_epoch=len(train))
crit = nn.CrossEntropyLoss()
for epoch in range(args.epochs):
    net.train()
    tl = 0.0
    for xb, yb in train:
        opt.zero_grad(set_to_none=True)
        loss = crit(net(xb), yb)
        loss.backward()
        opt.step()
        sched.step()
        tl += loss.item() / len(train)
    net.eval()
    with torch.inference_mode():
        o = net(xv)
        print(f"{epoch}: train {tl:.3f} val {crit(o, yv).item():.3f} acc {(o.argmax(-1) == yv).float().mean().item():.3f}")
