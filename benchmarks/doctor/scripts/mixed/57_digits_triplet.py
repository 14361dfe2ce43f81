import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier

torch.manual_seed(12)
rng = np.random.RandomState(12)
X, y = load_digits(return_X_y=True)
X = ((X - 4.9) / 6.0).astype('float32')
X_tr, X_te, y_tr, y_te = train_test_split(X, y, test_size=0.3, stratify=y, random_state=12)
by_class = [np.flatnonzero(y_tr == c) for c in range(10)]


def sample_triplets(n):
    a = rng.randint(len(y_tr), size=n)
    p = np.array([rng.choice(by_class[c]) for c in y_tr[a]])
    neg = np.array([rng.choice(by_class[(c + rng.randint(1, 10)) % 10]) for c in y_tr[a]])
    return [torch.from_numpy(X_tr[i]) for i in (a, p, neg)]


class Embedder(nn.Module):
    def __init__(self, out=8):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, out))

    def forward(self, x):
        return F.normalize(self.net(x), dim=1)


emb = Embedder()
triplet = nn.TripletMarginLoss(margin=0.5)
opt = torch.optim.Adam(emb.parameters(), lr=2e-3)
for epoch in range(8):
    emb.train()
    ls = []
    for _ in range(25):
        a, p, n = sample_triplets(64)
        loss = triplet(emb(a), emb(p), emb(n))
        opt.zero_grad()
        loss.backward()
        opt.step()
        ls.append(loss.item())
    emb.eval()
    with torch.no_grad():
        knn = KNeighborsClassifier(5).fit(emb(torch.from_numpy(X_tr)).numpy(), y_tr)
        acc = knn.score(emb(torch.from_numpy(X_te)).numpy(), y_te)
    print(f'epoch {epoch}: triplet loss {np.mean(ls):.4f}, 5-nn accuracy {acc:.4f}')
