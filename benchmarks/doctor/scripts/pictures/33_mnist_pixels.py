import argparse

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

parser = argparse.ArgumentParser()
parser.add_argument("--data", default="embedded/mnist_5k_1k.npz")
parser.add_argument("--epochs", type=int, default=4)
parser.add_argument("--batch-size", type=int, default=64)
parser.add_argument("--lr", type=float, default=0.02)
parser.add_argument("--momentum", type=float, default=0.9)
parser.add_argument("--seed", type=int, default=1)


class ConvNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 5, stride=2, padding=2)
        self.conv2 = nn.Conv2d(8, 16, 3, padding=1)
        self.fc1 = nn.Linear(16 * 7 * 7, 64)
        self.fc2 = nn.Linear(64, 10)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = torch.flatten(x, 1)
        x = F.relu(self.fc1(x))
        return self.fc2(x)


def load(path):
    d = np.load(path)
    def prep(a):
        return torch.from_numpy(a).float().unsqueeze(1)
    return (prep(d["x_train"]), torch.from_numpy(d["y_train"]).long(),
            prep(d["x_test"]), torch.from_numpy(d["y_test"]).long())


def main():
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    x, y, x_test, y_test = load(args.data)
    model = ConvNet()
    opt = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=args.momentum)
    for epoch in range(1, args.epochs + 1):
        model.train()
        perm = torch.randperm(len(x))
        running = 0.0
        for i in range(0, len(x), args.batch_size):
            idx = perm[i:i + args.batch_size]
            opt.zero_grad()
            loss = F.cross_entropy(model(x[idx]), y[idx])
            loss.backward()
            opt.step()
            running += loss.item() * len(idx)
        model.eval()
        with torch.no_grad():
            out = model(x_test)
            test_loss = F.cross_entropy(out, y_test).item()
            acc = (out.argmax(1) == y_test).float().mean().item()
        print(f"Epoch {epoch}: train {running / len(x):.3f} test {test_loss:.3f} accuracy {100 * acc:.1f}%")


if __name__ == "__main__":
    main()
