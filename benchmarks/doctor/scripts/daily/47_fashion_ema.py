# Evaluation on a moving average of the weights
import copy
import numpy as np
import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(27)
d = np.load("embedded/fashion_mnist_5k_1k.npz")
X = (torch.tensor(d["x_train"]).float().view(-1, 784) / 255 - 0.286) / 0.353
Xv = (torch.tensor(d["x_test"]).float().view(-1, 784) / 255 - 0.286) / 0.353
y, yv = torch.tensor(d["y_train"]).long(), torch.tensor(d["y_test"]).long()

model = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Dropout(0.3), nn.Linear(128, 10))
ema = copy.deepcopy(model).requires_grad_(False).eval()
opt = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=1e-3)


@torch.no_grad()
def update_average(decay=0.98):
    for a, p in zip(ema.parameters(), model.parameters()):
        a.lerp_(p, 1 - decay)


def evaluate(net):
    net.eval()
    with torch.no_grad():
        out = net(Xv)
    return F.cross_entropy(out, yv).item(), (out.argmax(1) == yv).float().mean().item()


for epoch in range(8):
    model.train()
    tot = 0.0
    for b in torch.randperm(len(X)).split(50):
        loss = F.cross_entropy(model(X[b]), y[b])
        opt.zero_grad()
        loss.backward()
        opt.step()
        update_average()
        tot += loss.item() * len(b)
    raw, avg = evaluate(model), evaluate(ema)
    print(f"epoch {epoch} train {tot / len(X):.4f} raw val {raw[0]:.4f} acc {raw[1]:.4f} | averaged val {avg[0]:.4f} acc {avg[1]:.4f}")
