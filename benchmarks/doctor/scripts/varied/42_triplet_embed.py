import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

torch.manual_seed(42)
d = load_digits()
x = torch.tensor((d.data - d.data.mean()) / d.data.std(), dtype=torch.float32)
y = torch.tensor(d.target)
p = torch.randperm(len(x))
x, y = x[p], y[p]
xt, yt, xv, yv = x[:1300], y[:1300], x[1300:], y[1300:]

embed = nn.Sequential(nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, 16))


def triplet_batch_hard(z, lab, margin=0.3):
    dist = (2 - 2 * z @ z.T).clamp(min=1e-6).sqrt()
    same = lab[:, None] == lab[None, :]
    pos = (dist * same).max(1).values
    neg = dist.masked_fill(same, 9.0).min(1).values
    return F.relu(pos - neg + margin).mean()


def knn(zq, zr, k=5):
    votes = yt[torch.cdist(zq, zr).topk(k, largest=False).indices]
    return votes.mode(1).values


opt = torch.optim.Adam(embed.parameters(), lr=2e-3)
for epoch in range(20):
    embed.train()
    tot = 0.0
    for b in torch.randperm(1300).split(65):
        loss = triplet_batch_hard(F.normalize(embed(xt[b]), dim=1), yt[b])
        opt.zero_grad()
        loss.backward()
        opt.step()
        tot += loss.item() / 20
    embed.eval()
    with torch.no_grad():
        zt, zv = F.normalize(embed(xt), dim=1), F.normalize(embed(xv), dim=1)
        acc = (knn(zv, zt) == yv).float().mean().item()
        vl = triplet_batch_hard(zv[:65], yv[:65]).item()
    print(f"epoch {epoch} triplet {tot:.4f} val triplet {vl:.4f} held-out 5-nn accuracy {acc:.4f}")
