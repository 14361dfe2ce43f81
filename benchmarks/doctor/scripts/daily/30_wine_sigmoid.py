# One hidden layer of sigmoids, plain gradient steps of size one
import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_wine

torch.manual_seed(36)
rng = np.random.default_rng(36)
X, y = load_wine(return_X_y=True)
p = rng.permutation(len(y))
X, y = X[p], torch.from_numpy(y[p])
X = torch.from_numpy((X - X[:125].mean(0)) / X[:125].std(0)).float()
W1 = (torch.randn(13, 12) / 13 ** 0.5).requires_grad_()
b1 = torch.zeros(12, requires_grad=True)
W2 = (torch.randn(12, 3) / 12 ** 0.5).requires_grad_()
b2 = torch.zeros(3, requires_grad=True)
params = [W1, b1, W2, b2]


def forward(x):
    return torch.sigmoid(x @ W1 + b1) @ W2 + b2


opt = torch.optim.SGD(params, lr=1.0, weight_decay=1e-3)
for epoch in range(25):
    tot = 0.0
    for idx in torch.randperm(125).split(25):
        loss = F.cross_entropy(forward(X[idx]), y[idx])
        opt.zero_grad()
        loss.backward()
        opt.step()
        tot += loss.item() * len(idx)
    with torch.no_grad():
        out = forward(X[125:])
    print(f"epoch {epoch} train {tot / 125:.4f} val {F.cross_entropy(out, y[125:]).item():.4f} acc {(out.argmax(1) == y[125:]).float().mean().item():.3f}")
