import argparse
import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset


def parse():
    p = argparse.ArgumentParser()
    p.add_argument("--epochs", type=int, default=7)
    p.add_argument("--bs", type=int, default=128)
    p.add_argument("--lr", type=float, default=3e-3)
    p.add_argument("--dropout", type=float, default=0.4)
    return p.parse_args()


def block(i, o, p):
    return nn.Sequential(nn.Linear(i, o, bias=False), nn.BatchNorm1d(o), nn.ReLU(), nn.Dropout(p))


def main():
    a = parse()
    torch.manual_seed(3)
    d = np.load("embedded/mnist_5k_1k.npz")
    to = lambda s: TensorDataset(torch.tensor(d["x_" + s] / 255.0, dtype=torch.float32).flatten(1), torch.tensor(d["y_" + s]).long())
    train_dl = DataLoader(to("train"), batch_size=a.bs, shuffle=True, drop_last=True)
    test_dl = DataLoader(to("test"), batch_size=500)
    model = nn.Sequential(block(784, 128, a.dropout), block(128, 64, a.dropout), nn.Linear(64, 10))
    ce = nn.CrossEntropyLoss()
    opt = torch.optim.RMSprop(model.parameters(), lr=a.lr)
    sched = torch.optim.lr_scheduler.ExponentialLR(opt, gamma=0.7)
    for ep in range(a.epochs):
        model.train()
        tl = 0
        for x, y in train_dl:
            opt.zero_grad()
            loss = ce(model(x), y)
            loss.backward()
            opt.step()
            tl += loss.item()
        sched.step()
        model.eval()
        vl = ok = 0
        with torch.no_grad():
            for x, y in test_dl:
                o = model(x)
                vl += ce(o, y).item() / len(test_dl)
                ok += (o.argmax(1) == y).sum().item()
        print(f"epoch {ep + 1}: train {tl / len(train_dl):.3f} test {vl:.3f} acc {ok / 10:.1f}%")


if __name__ == "__main__":
    main()
