# all-convolutional net with global average pooling and an averaged copy of the weights for scoring
import copy
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(13)
z = np.load("embedded/mnist_5k_1k.npz")
f = lambda k: (F.avg_pool2d(torch.from_numpy(z[k]).float()[:, None] / 255, 2) - 0.131) / 0.27
x, xv, y, yv = f("x_train"), f("x_test"), torch.from_numpy(z["y_train"]).long(), torch.from_numpy(z["y_test"]).long()


class AllConv(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 16, 3, padding=1)
        self.c2 = nn.Conv2d(16, 32, 3, stride=2, padding=1)
        self.c3 = nn.Conv2d(32, 48, 3, stride=2, padding=1)
        self.c4 = nn.Conv2d(48, 10, 1)
        self.g = nn.ModuleList([nn.GroupNorm(4, c) for c in (16, 32, 48)])

    def forward(self, x):
        for conv, norm in zip((self.c1, self.c2, self.c3), self.g):
            x = F.leaky_relu(norm(conv(x)), 0.1)
        return self.c4(x).mean((2, 3))


net = AllConv()
ema = copy.deepcopy(net).requires_grad_(False)
opt = torch.optim.NAdam(net.parameters(), lr=4e-3)
for epoch in range(4):
    net.train()
    for idx in torch.randperm(len(x)).split(50):
        opt.zero_grad()
        loss = F.cross_entropy(net(x[idx]), y[idx])
        loss.backward()
        opt.step()
        with torch.no_grad():
            for p, q in zip(ema.parameters(), net.parameters()):
                p.lerp_(q, 0.05)
    ema.eval()
    net.eval()
    with torch.no_grad():
        a, b = net(xv), ema(xv)
    print(f"epoch {epoch} loss {loss.item():.3f} acc {(a.argmax(1) == yv).float().mean():.3f} averaged {(b.argmax(1) == yv).float().mean():.3f}")
