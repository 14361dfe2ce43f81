import numpy as np
import torch
from torch import nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier

torch.manual_seed(0)
rng = np.random.default_rng(0)
X, y = load_digits(return_X_y=True)
order = rng.permutation(len(X))
X, y = X[order] / 8.0 - 1.0, y[order]
Xs, ys = torch.tensor(X[:1200], dtype=torch.float32), y[:1200]
Xn, yn = torch.tensor(X[1200:], dtype=torch.float32), y[1200:]
by_class = [np.flatnonzero(ys == c) for c in range(10)]


def batch(n):
    c = rng.integers(0, 10, n)
    d = (c + rng.integers(1, 10, n)) % 10
    pick = lambda k: rng.choice(by_class[k])
    return [Xs[[pick(k) for k in ks]] for ks in (c, c, d)]


class Embed(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 16))

    def forward(self, x):
        return F.normalize(self.net(x), dim=-1)


net = Embed()
opt = torch.optim.Adam(net.parameters(), lr=1e-3)
triplet = nn.TripletMarginLoss(margin=0.4)


@torch.no_grad()
def knn_score(k=5):
    gallery, query = net(Xs).numpy(), net(Xn).numpy()
    return KNeighborsClassifier(k).fit(gallery, ys).score(query, yn)


for epoch in range(8):
    net.train()
    losses = []
    for _ in range(40):
        a, p, n = batch(64)
        loss = triplet(net(a), net(p), net(n))
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
    net.eval()
    print(f"epoch {epoch}: triplet loss {np.mean(losses):.4f}  5-NN on held-out digits {knn_score():.3f}")
