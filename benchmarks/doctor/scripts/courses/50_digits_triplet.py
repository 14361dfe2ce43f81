"""Metric learning on digits: triplet loss on normalised embeddings, nearest-centroid accuracy."""
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

torch.manual_seed(116)
X, y = load_digits(return_X_y=True)
X, y = torch.tensor(X, dtype=torch.float32), torch.tensor(y)
perm = torch.randperm(len(X))
X, y = X[perm], y[perm]
n = 1350
X = (X - X[:n].mean()) / X[:n].std()
Xtr, ytr, Xva, yva = X[:n], y[:n], X[n:], y[n:]
members = [(ytr == k).nonzero()[:, 0] for k in range(10)]


class Embed(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 16))

    def forward(self, x):
        return F.normalize(self.net(x), dim=1)


def triplets(anchors):
    pos, neg = [], []
    for a in ytr[anchors].tolist():
        other = (a + 1 + torch.randint(0, 9, (1,)).item()) % 10
        pos.append(members[a][torch.randint(len(members[a]), (1,))])
        neg.append(members[other][torch.randint(len(members[other]), (1,))])
    return torch.cat(pos), torch.cat(neg)


model = Embed()
opt = torch.optim.Adam(model.parameters(), lr=1e-3)
crit = nn.TripletMarginLoss(margin=0.5)
for epoch in range(10):
    model.train()
    tot, k = 0.0, 0
    for a in torch.randperm(n).split(45):
        p, q = triplets(a)
        loss = crit(model(Xtr[a]), model(Xtr[p]), model(Xtr[q]))
        opt.zero_grad()
        loss.backward()
        opt.step()
        tot, k = tot + loss.item(), k + 1
    model.eval()
    with torch.no_grad():
        e = model(Xtr)
        centroids = F.normalize(torch.stack([e[m].mean(0) for m in members]), dim=1)
        acc = ((model(Xva) @ centroids.T).argmax(1) == yva).float().mean().item()
    print(f"epoch {epoch} triplet loss {tot / k:.4f} val centroid accuracy {acc:.3f}")
