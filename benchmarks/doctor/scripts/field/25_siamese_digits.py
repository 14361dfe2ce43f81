import numpy as np
import torch
from torch import nn
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

SEED = 3
rng = np.random.default_rng(SEED)
torch.manual_seed(SEED)

X, y = load_digits(return_X_y=True)
X = (X / 16.0).astype(np.float32)
X_tr, X_te, y_tr, y_te = train_test_split(X, y, test_size=0.25, stratify=y, random_state=SEED)
mu = X_tr.mean(0)
X_tr, X_te = X_tr - mu, X_te - mu


class Embedder(nn.Module):
    def __init__(self, d_in=64, d_out=16):
        super().__init__()
        self.f = nn.Sequential(
            nn.Linear(d_in, 96), nn.SiLU(), nn.Linear(96, 48), nn.SiLU(), nn.Linear(48, d_out)
        )

    def forward(self, x):
        return nn.functional.normalize(self.f(x), dim=-1)


class ContrastiveLoss(nn.Module):
    def __init__(self, margin=1.0):
        super().__init__()
        self.margin = margin

    def forward(self, za, zb, same):
        d = (za - zb).pow(2).sum(-1).clamp_min(1e-9).sqrt()
        pull = same * d.pow(2)
        push = (1 - same) * (self.margin - d).clamp_min(0).pow(2)
        return (pull + push).mean()


def pair_stream(X, y, size):
    by_class = [np.flatnonzero(y == c) for c in range(10)]
    while True:
        a = rng.integers(len(y), size=size)
        same = rng.random(size) < 0.5
        b = rng.integers(len(y), size=size)
        for k in np.flatnonzero(same):
            members = by_class[y[a[k]]]
            b[k] = members[rng.integers(len(members))]
        yield (torch.from_numpy(X[a]), torch.from_numpy(X[b]),
               torch.from_numpy((y[a] == y[b]).astype(np.float32)))


def evaluate(net):
    net.eval()
    with torch.no_grad():
        z_tr, z_te = net(torch.from_numpy(X_tr)), net(torch.from_numpy(X_te))
        nn_idx = torch.cdist(z_te, z_tr).argmin(1).numpy()
        d = torch.cdist(z_te, z_te).numpy()
    iu = np.triu_indices(len(y_te), 1)
    auc = roc_auc_score(y_te[iu[0]] == y_te[iu[1]], -d[iu])
    net.train()
    return (y_tr[nn_idx] == y_te).mean(), auc


net, criterion = Embedder(), ContrastiveLoss()
optim = torch.optim.RMSprop(net.parameters(), lr=1e-3)
sched = torch.optim.lr_scheduler.StepLR(optim, step_size=300, gamma=0.3)
for it, (a, b, same) in enumerate(pair_stream(X_tr, y_tr, 64), 1):
    loss = criterion(net(a), net(b), same)
    optim.zero_grad()
    loss.backward()
    optim.step()
    sched.step()
    if it % 200 == 0:
        acc, auc = evaluate(net)
        print(f"iter {it}: loss {loss.item():.4f}  1-NN acc {acc:.3f}  pair AUC {auc:.3f}")
    if it == 600:
        break
