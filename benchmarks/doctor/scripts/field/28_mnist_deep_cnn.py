import argparse

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset


def parse():
    p = argparse.ArgumentParser()
    p.add_argument("--data", default="embedded/mnist_5k_1k.npz")
    p.add_argument("--epochs", type=int, default=2)
    p.add_argument("--batch-size", type=int, default=64)
    p.add_argument("--lr", type=float, default=0.05)
    p.add_argument("--eval-every", type=int, default=50)
    p.add_argument("--seed", type=int, default=5)
    return p.parse_args([])


def conv(cin, cout, stride=1):
    return nn.Sequential(
        nn.Conv2d(cin, cout, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(cout), nn.ReLU(inplace=True),
    )


def build():
    return nn.Sequential(
        conv(1, 12, 2), conv(12, 12), conv(12, 24, 2), conv(24, 24),
        conv(24, 32, 2), conv(32, 32), conv(32, 32),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(32, 10),
    )


@torch.no_grad()
def evaluate(model, loader):
    model.eval()
    correct = loss = n = 0
    for x, y in loader:
        out = model(x)
        loss += F.cross_entropy(out, y, reduction="sum").item()
        correct += (out.argmax(1) == y).sum().item()
        n += len(y)
    return loss / n, correct / n


def main():
    args = parse()
    torch.manual_seed(args.seed)
    z = np.load(args.data)

    def ds(split):
        x = torch.from_numpy(z[f"x_{split}"]).float().unsqueeze(1).div(255).sub(0.1307).div(0.3081)
        return TensorDataset(x, torch.from_numpy(z[f"y_{split}"]).long())

    train = DataLoader(ds("train"), batch_size=args.batch_size, shuffle=True, drop_last=True)
    test = DataLoader(ds("test"), batch_size=250)
    model = build()
    opt = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=0.9, nesterov=True, weight_decay=1e-4)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, args.epochs * len(train))

    print("untrained: loss %.3f acc %.3f" % evaluate(model, test))
    step = 0
    for epoch in range(args.epochs):
        for x, y in train:
            loss = F.cross_entropy(model(x), y)
            opt.zero_grad()
            loss.backward()
            opt.step()
            sched.step()
            step += 1
            if step % args.eval_every == 0:
                print(f"step {step}: train loss {loss.item():.3f}; test loss %.3f acc %.3f" % evaluate(model, test))
    print("final: loss %.3f acc %.3f" % evaluate(model, test))


if __name__ == "__main__":
    main()
