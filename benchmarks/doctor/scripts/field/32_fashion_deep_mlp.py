from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn, optim
from torch.utils.data import DataLoader, TensorDataset


@dataclass
class HParams:
    widths: list = field(default_factory=lambda: [128] * 7)
    act: str = "sigmoid"
    lr: float = 1e-3
    epochs: int = 6
    bs: int = 64
    seed: int = 2024


ACTS = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}


def mlp(d_in, d_out, hp):
    layers, d = [], d_in
    for w in hp.widths:
        layers += [nn.Linear(d, w), ACTS[hp.act]()]
        d = w
    layers.append(nn.Linear(d, d_out))
    net = nn.Sequential(*layers)
    for m in net:
        if isinstance(m, nn.Linear):
            nn.init.xavier_uniform_(m.weight)
            nn.init.zeros_(m.bias)
    return net


def loaders(hp):
    z = np.load("embedded/fashion_mnist_5k_1k.npz")
    xs = {s: torch.from_numpy(z["x_" + s]).float().flatten(1) / 255 for s in ("train", "test")}
    m, s = xs["train"].mean(), xs["train"].std()
    out = {}
    for k, x in xs.items():
        t = TensorDataset((x - m) / s, torch.from_numpy(z["y_" + k]).long())
        out[k] = DataLoader(t, batch_size=hp.bs if k == "train" else 500, shuffle=k == "train")
    return out["train"], out["test"]


def train_one_epoch(net, loader, opt, sched, crit):
    net.train()
    losses = []
    for x, y in loader:
        opt.zero_grad()
        loss = crit(net(x), y)
        loss.backward()
        opt.step()
        sched.step()
        losses.append(loss.item())
    return sum(losses) / len(losses)


@torch.inference_mode()
def evaluate(net, loader):
    net.eval()
    hits = [(net(x).argmax(1) == y) for x, y in loader]
    return torch.cat(hits).float().mean().item()


def main():
    hp = HParams()
    torch.manual_seed(hp.seed)
    train, test = loaders(hp)
    net = mlp(784, 10, hp)
    opt = optim.Adam(net.parameters(), lr=hp.lr)
    sched = optim.lr_scheduler.OneCycleLR(opt, max_lr=hp.lr, total_steps=hp.epochs * len(train))
    crit = nn.CrossEntropyLoss()
    for epoch in range(hp.epochs):
        loss = train_one_epoch(net, train, opt, sched, crit)
        print(f"epoch {epoch}: train {loss:.4f} test acc {evaluate(net, test):.4f}")


if __name__ == "__main__":
    main()
