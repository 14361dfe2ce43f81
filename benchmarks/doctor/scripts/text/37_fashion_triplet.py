import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(6)
rng = np.random.default_rng(6)
npz = np.load("embedded/fashion_mnist_5k_1k.npz")
mean, std = npz["x_train"].mean() / 255, npz["x_train"].std() / 255
to_x = lambda a: torch.tensor((a.reshape(len(a), -1) / 255 - mean) / std, dtype=torch.float32)
x, xt = to_x(npz["x_train"]), to_x(npz["x_test"])
y, yt = npz["y_train"].astype(int), npz["y_test"].astype(int)
by_class = [np.flatnonzero(y == c) for c in range(10)]


def triplets(n):
    a = rng.integers(0, len(y), n)
    p = np.array([rng.choice(by_class[c]) for c in y[a]])
    other = (y[a] + rng.integers(1, 10, n)) % 10
    q = np.array([rng.choice(by_class[c]) for c in other])
    return x[a], x[p], x[q]


embed = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 16))
criterion = nn.TripletMarginLoss(margin=0.5)
optimizer = torch.optim.Adam(embed.parameters(), lr=1e-3)


def knn_accuracy(k=5):
    embed.eval()
    with torch.no_grad():
        g, q = F.normalize(embed(x), dim=1), F.normalize(embed(xt), dim=1)
        near = torch.tensor(y)[(q @ g.t()).topk(k, dim=1).indices]
        return (near.mode(1).values == torch.tensor(yt)).float().mean().item()


for epoch in range(6):
    embed.train()
    total = 0.0
    for step in range(60):
        a, p, n = (F.normalize(embed(t), dim=1) for t in triplets(64))
        loss = criterion(a, p, n)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
    print(f"epoch {epoch}: triplet loss {total / 60:.4f} 5-nn accuracy {knn_accuracy():.3f}")
