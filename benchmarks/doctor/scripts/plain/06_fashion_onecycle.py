import argparse
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F


def get_args():
    p = argparse.ArgumentParser()
    p.add_argument("--epochs", type=int, default=4)
    p.add_argument("--batch-size", type=int, default=64)
    p.add_argument("--max-lr", type=float, default=8e-3)
    p.add_argument("--n-train", type=int, default=6000)
    p.add_argument("--seed", type=int, default=7)
    return p.parse_args()


def conv_block(c_in, c_out):
    return nn.Sequential(nn.Conv2d(c_in, c_out, 3, padding=1, bias=False), nn.BatchNorm2d(c_out), nn.ReLU(),
                         nn.MaxPool2d(2))


def make_model():
    return nn.Sequential(conv_block(1, 8), conv_block(8, 16), conv_block(16, 32), nn.Flatten(),
                         nn.Linear(32 * 3 * 3, 10))


def random_flip(x):
    mask = torch.rand(len(x)) < 0.5
    return torch.where(mask[:, None, None, None], x.flip(-1), x)


@torch.no_grad()
def evaluate(model, x, y):
    model.eval()
    out = torch.cat([model(b) for b in x.split(500)])
    return F.cross_entropy(out, y).item(), (out.argmax(1) == y).float().mean().item()


def main():
    args = get_args()
    torch.manual_seed(args.seed)
    z = np.load("data/fashion_mnist.npz")
    x = torch.from_numpy(z["x_train"][:args.n_train + 2000]).float().unsqueeze(1) / 255
    y = torch.from_numpy(z["y_train"][:args.n_train + 2000]).long()
    mean, std = x[:args.n_train].mean(), x[:args.n_train].std()
    x = (x - mean) / std
    x_val, y_val = x[args.n_train:], y[args.n_train:]
    x, y = x[:args.n_train], y[:args.n_train]
    x_test = (torch.from_numpy(z["x_test"][:3000]).float().unsqueeze(1) / 255 - mean) / std
    y_test = torch.from_numpy(z["y_test"][:3000]).long()

    model = make_model()
    steps = (len(x) + args.batch_size - 1) // args.batch_size
    opt = torch.optim.Adam(model.parameters(), lr=args.max_lr / 25)
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=args.max_lr, epochs=args.epochs, steps_per_epoch=steps)
    for epoch in range(args.epochs):
        t0 = time.time()
        model.train()
        total = 0.0
        for idx in torch.randperm(len(x)).split(args.batch_size):
            loss = F.cross_entropy(model(random_flip(x[idx])), y[idx])
            opt.zero_grad()
            loss.backward()
            opt.step()
            sched.step()
            total += loss.item() * len(idx)
        val_loss, val_acc = evaluate(model, x_val, y_val)
        print(f"epoch {epoch}: train {total / len(x):.4f} val {val_loss:.4f} acc {val_acc:.4f} "
              f"lr {sched.get_last_lr()[0]:.2e} {time.time() - t0:.1f}s")
    print("test loss %.4f acc %.4f" % evaluate(model, x_test, y_test))


if __name__ == "__main__":
    main()
