import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(40)
d = np.load('embedded/mnist_5k_1k.npz')
X = (torch.tensor(d['x_train']).float()[:, None] / 255 - 0.1307) / 0.3081
Xv = (torch.tensor(d['x_test']).float()[:, None] / 255 - 0.1307) / 0.3081
Y, Yv = torch.tensor(d['y_train']).long(), torch.tensor(d['y_test']).long()

backbone = nn.Sequential(
    nn.Conv2d(1, 12, 5, stride=2), nn.BatchNorm2d(12), nn.ReLU(),
    nn.Conv2d(12, 24, 3, stride=2), nn.BatchNorm2d(24), nn.ReLU(),
    nn.Flatten(), nn.Linear(24 * 25, 48), nn.ReLU())
first = torch.arange(len(Y)) < 3000


def fit(head, x, y, xv, yv, params, lr, epochs, freeze):
    opt = torch.optim.Adam(params, lr=lr)
    for e in range(epochs):
        head.train()
        backbone.train(not freeze)
        for b in torch.randperm(len(x)).split(32):
            if freeze:
                with torch.no_grad():
                    h = backbone(x[b])
            else:
                h = backbone(x[b])
            loss = F.cross_entropy(head(h), y[b])
            opt.zero_grad()
            loss.backward()
            opt.step()
        backbone.eval()
        head.eval()
        with torch.no_grad():
            out = head(backbone(xv))
        print('frozen' if freeze else 'full', e, f'{loss.item():.4f} val {F.cross_entropy(out, yv):.4f} acc {(out.argmax(1) == yv).float().mean():.4f}')


# ten digits first, then only a new head that groups them in pairs on fresh rows
head_a = nn.Linear(48, 10)
fit(head_a, X[first], Y[first], Xv, Yv, list(backbone.parameters()) + list(head_a.parameters()), 1e-3, 2, False)
for p in backbone.parameters():
    p.requires_grad_(False)
head_b = nn.Linear(48, 5)
fit(head_b, X[~first], Y[~first] // 2, Xv, Yv // 2, head_b.parameters(), 3e-3, 4, True)
