import argparse
import copy
import numpy as np
import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument('--alpha', type=float, default=0.2)
parser.add_argument('--smoothing', type=float, default=0.05)
parser.add_argument('--ema', type=float, default=0.97)
parser.add_argument('--epochs', type=int, default=5)
args = parser.parse_args()
torch.manual_seed(33)
np.random.seed(33)
d = np.load('embedded/fashion_mnist_5k_1k.npz')
x = (torch.tensor(d['x_train'])[:, None, ::2, ::2].float() / 255 - 0.286) / 0.353
xv = (torch.tensor(d['x_test'])[:, None, ::2, ::2].float() / 255 - 0.286) / 0.353
y, yv = torch.tensor(d['y_train']).long(), torch.tensor(d['y_test']).long()

net = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.GroupNorm(4, 16), nn.ReLU(), nn.MaxPool2d(2),
                    nn.Conv2d(16, 32, 3, padding=1), nn.GroupNorm(4, 32), nn.ReLU(), nn.MaxPool2d(2),
                    nn.Flatten(), nn.Linear(288, 10))
ema = copy.deepcopy(net).requires_grad_(False)
opt = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=1e-4)
steps = args.epochs * (len(x) // 50)
sched = torch.optim.lr_scheduler.OneCycleLR(opt, 0.1, total_steps=steps)
ce = nn.CrossEntropyLoss(label_smoothing=args.smoothing)


def accuracy(m):
    m.eval()
    with torch.no_grad():
        return (m(xv).argmax(1) == yv).float().mean().item()


for epoch in range(args.epochs):
    net.train()
    tot = 0.0
    for i in torch.randperm(len(x)).split(50):
        lam = np.random.beta(args.alpha, args.alpha)
        j = i[torch.randperm(len(i))]
        out = net(lam * x[i] + (1 - lam) * x[j])
        loss = lam * ce(out, y[i]) + (1 - lam) * ce(out, y[j])
        opt.zero_grad()
        loss.backward()
        opt.step()
        sched.step()
        with torch.no_grad():
            for p, q in zip(ema.parameters(), net.parameters()):
                p.lerp_(q, 1 - args.ema)
        tot += loss.item()
    print(f'epoch {epoch} loss {tot / (len(x) // 50):.4f} acc {accuracy(net):.4f} ema acc {accuracy(ema):.4f}')
