# memory-friendly training: micro-batches of 16, weights updated every 8 of them
import argparse
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset


def get_data():
    z = np.load("embedded/mnist_5k_1k.npz")
    f = lambda a: (F.avg_pool2d(torch.tensor(a).float().unsqueeze(1) / 255, 2) - 0.13) / 0.27
    return (TensorDataset(f(z["x_train"]), torch.tensor(z["y_train"]).long()),
            TensorDataset(f(z["x_test"]), torch.tensor(z["y_test"]).long()))


def build():
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(288, 10))


def main(args):
    torch.manual_seed(args.seed)
    train_ds, test_ds = get_data()
    loader = DataLoader(train_ds, batch_size=args.micro, shuffle=True, drop_last=True)
    model = build()
    opt = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=0.9)
    for epoch in range(args.epochs):
        model.train()
        opt.zero_grad()
        shown = 0.0
        for i, (x, y) in enumerate(loader, 1):
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            shown += loss.item()
            if i % args.accum == 0:
                opt.step()
                opt.zero_grad()
        model.eval()
        with torch.no_grad():
            x, y = test_ds.tensors
            acc = (model(x).argmax(1) == y).float().mean()
        print(f"epoch {epoch} train {shown / len(loader):.3f} test acc {acc:.3f}")


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("--micro", type=int, default=16)
    p.add_argument("--accum", type=int, default=8)
    p.add_argument("--lr", type=float, default=0.08)
    p.add_argument("--epochs", type=int, default=5)
    p.add_argument("--seed", type=int, default=0)
    main(p.parse_args())
