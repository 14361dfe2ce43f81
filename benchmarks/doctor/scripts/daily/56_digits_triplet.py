# Metric learning with triplets, scored by 1-nearest-neighbour on held-out digits
import torch
from torch import nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier

torch.manual_seed(12)
dig = load_digits()
X = torch.tensor((dig.data - dig.data.mean()) / dig.data.std(), dtype=torch.float32)
y = torch.tensor(dig.target)
p = torch.randperm(len(X))
tr, va = p[:1200], p[1200:]
Xt, yt, Xv, yv = X[tr], y[tr], X[va], y[va]
by_class = [torch.where(yt == c)[0] for c in range(10)]


def pick(classes):
    return torch.stack([by_class[c][torch.randint(len(by_class[c]), ())] for c in classes.tolist()])


class Embedder(nn.Module):
    def __init__(self):
        super().__init__()
        self.f = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 6))

    def forward(self, x):
        return F.normalize(self.f(x), dim=1)


net = Embedder()
criterion = nn.TripletMarginLoss(margin=0.4)
opt = torch.optim.Adam(net.parameters(), lr=2e-3)
for epoch in range(12):
    net.train()
    total = 0.0
    for b in torch.randperm(len(Xt)).split(50):
        a = yt[b]
        other = (a + torch.randint(1, 10, a.shape)) % 10
        loss = criterion(net(Xt[b]), net(Xt[pick(a)]), net(Xt[pick(other)]))
        opt.zero_grad()
        loss.backward()
        opt.step()
        total += loss.item() * len(b)
    net.eval()
    with torch.no_grad():
        et, ev = net(Xt).numpy(), net(Xv).numpy()
    acc = KNeighborsClassifier(3).fit(et, yt).score(ev, yv)
    print(f"epoch {epoch} triplet loss {total / len(Xt):.4f} held-out knn acc {acc:.4f}")
