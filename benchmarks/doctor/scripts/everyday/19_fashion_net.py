import argparse
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def get_args():
    ap = argparse.ArgumentParser()
    ap.add_argument("--micro-batch", type=int, default=8)
    ap.add_argument("--accum-steps", type=int, default=8)
    ap.add_argument("--lr", type=float, default=0.05)
    ap.add_argument("--epochs", type=int, default=5)
    return ap.parse_args()


def load():
    z = np.load("embedded/fashion_mnist_5k_1k.npz")
    conv = lambda a: (torch.tensor(a, dtype=torch.float32).flatten(1) / 255 - 0.286) / 0.353
    tr = TensorDataset(conv(z["x_train"]), torch.tensor(z["y_train"]).long())
    va = TensorDataset(conv(z["x_test"]), torch.tensor(z["y_test"]).long())
    return tr, va


def evaluate(model, loader):
    model.eval()
    good = n = 0
    with torch.no_grad():
        for x, y in loader:
            good += (model(x).argmax(1) == y).sum().item()
            n += len(y)
    return good / n


def main():
    args = get_args()
    torch.manual_seed(0)
    tr, va = load()
    train_loader = DataLoader(tr, batch_size=args.micro_batch, shuffle=True)
    val_loader = DataLoader(va, batch_size=250)
    model = nn.Sequential(nn.Linear(784, 96), nn.ReLU(), nn.Linear(96, 48), nn.ReLU(), nn.Linear(48, 10))
    opt = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=0.8)
    criterion = nn.CrossEntropyLoss()
    for epoch in range(args.epochs):
        model.train()
        total = 0.0
        opt.zero_grad()
        for step, (x, y) in enumerate(train_loader, 1):
            loss = criterion(model(x), y)
            total += loss.item()
            loss.backward()
            if step % args.accum_steps == 0 or step == len(train_loader):
                opt.step()
                opt.zero_grad()
        print(f"epoch {epoch + 1}: loss {total / len(train_loader):.4f} val acc {evaluate(model, val_loader):.4f}")


if __name__ == "__main__":
    main()
