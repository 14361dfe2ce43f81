import argparse
import math
import sys
import torch
from torch import nn
from sklearn.datasets import make_friedman1


def parse():
    ap = argparse.ArgumentParser()
    ap.add_argument("--rows", type=int, default=2500)
    ap.add_argument("--noise", type=float, default=0.5)
    ap.add_argument("--width", type=int, default=64)
    ap.add_argument("--depth", type=int, default=3)
    ap.add_argument("--lr", type=float, default=2e-3)
    ap.add_argument("--batch", type=int, default=64)
    ap.add_argument("--epochs", type=int, default=20)
    ap.add_argument("--seed", type=int, default=17)
    return ap.parse_args()


def make_mlp(n_in, width, depth):
    layers, d = [], n_in
    for _ in range(depth - 1):
        layers.append(nn.Linear(d, width))
        layers.append(nn.SiLU())
        d = width
    layers.append(nn.Linear(d, 1))
    return nn.Sequential(*layers)


def evaluate(model, x, y):
    model.eval()
    with torch.inference_mode():
        return math.sqrt(nn.functional.mse_loss(model(x), y).item())


def main():
    args = parse()
    torch.manual_seed(args.seed)
    x, y = make_friedman1(args.rows, n_features=8, noise=args.noise, random_state=args.seed)
    x = torch.tensor(2 * x - 1, dtype=torch.float32) * 3 ** 0.5
    y = torch.tensor(y, dtype=torch.float32).reshape(-1, 1)
    n = int(args.rows * 0.8)
    y = (y - y[:n].mean()) / y[:n].std()
    model = make_mlp(8, args.width, args.depth)
    opt = torch.optim.NAdam(model.parameters(), lr=args.lr)
    for epoch in range(args.epochs):
        model.train()
        order = torch.randperm(n)
        for start in range(0, n, args.batch):
            sel = order[start:start + args.batch]
            loss = nn.functional.mse_loss(model(x[sel]), y[sel])
            loss.backward()
            opt.step()
        print(f"epoch={epoch} train_rmse={evaluate(model, x[:n], y[:n]):.4f} val_rmse={evaluate(model, x[n:], y[n:]):.4f}",
              file=sys.stdout)


if __name__ == "__main__":
    main()
