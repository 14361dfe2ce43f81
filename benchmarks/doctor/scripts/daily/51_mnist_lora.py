# Low-rank adapters on a net trained for upright digits, new data are rotated by 90 degrees
import math
import numpy as np
import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(23)
d = np.load("embedded/mnist_5k_1k.npz")
prep = lambda a: (torch.tensor(a, dtype=torch.float32) / 255 - 0.1307) / 0.3081
X, Y, XT, YT = prep(d["x_train"]), torch.tensor(d["y_train"]).long(), prep(d["x_test"]), torch.tensor(d["y_test"]).long()


class LoRA(nn.Module):
    def __init__(self, base, r=4, alpha=8):
        super().__init__()
        self.base = base.requires_grad_(False)
        self.A = nn.Parameter(torch.randn(r, base.in_features) / math.sqrt(base.in_features))
        self.B = nn.Parameter(torch.zeros(base.out_features, r))
        self.scale = alpha / r

    def forward(self, x):
        return self.base(x) + self.scale * F.linear(F.linear(x, self.A), self.B)


def fit(model, x, y, xv, yv, lr, epochs, tag):
    opt = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=lr, weight_decay=0.01)
    for ep in range(epochs):
        model.train()
        for b in torch.randperm(len(x)).split(50):
            loss = F.cross_entropy(model(x[b].flatten(1)), y[b])
            opt.zero_grad()
            loss.backward()
            opt.step()
        model.eval()
        with torch.no_grad():
            out = model(xv.flatten(1))
        print(f"{tag} {ep} train {loss.item():.3f} val {F.cross_entropy(out, yv).item():.3f} acc {(out.argmax(1) == yv).float().mean().item():.4f}")


net = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10))
LR = 3e-3
fit(net, X[:2500], Y[:2500], XT, YT, 1e-3, 5, "base")
for k in (0, 2, 4):
    net[k] = LoRA(net[k])
turn = lambda x: torch.rot90(x, 1, (1, 2))
print("trainable", sum(p.numel() for p in net.parameters() if p.requires_grad), "of", sum(p.numel() for p in net.parameters()))
fit(net, turn(X[2500:]), Y[2500:], turn(XT), YT, LR, 8, "adapters")
