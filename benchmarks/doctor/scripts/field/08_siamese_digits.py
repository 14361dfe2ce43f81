import numpy as np
import torch
from torch import nn
import torch.nn.functional as F
from sklearn.neighbors import KNeighborsClassifier

SEED = 21
torch.manual_seed(SEED)
rng = np.random.default_rng(SEED)

z = np.load("embedded/mnist_5k_1k.npz")
x_tr = (torch.tensor(z["x_train"], dtype=torch.float32)[:, None] / 255 - 0.13) / 0.31
x_te = (torch.tensor(z["x_test"], dtype=torch.float32)[:, None] / 255 - 0.13) / 0.31
y_tr, y_te = z["y_train"], z["y_test"]
by_class = [np.flatnonzero(y_tr == c) for c in range(10)]


def pair_batches(n_batches, size):
    """Half of each batch are pairs of the same digit, half of different digits."""
    for _ in range(n_batches):
        a = rng.integers(len(y_tr), size=size)
        same = np.arange(size) % 2 == 0
        other = (y_tr[a] + rng.integers(1, 10, size=size)) % 10
        cls = np.where(same, y_tr[a], other)
        b = np.array([rng.choice(by_class[c]) for c in cls])
        yield x_tr[a], x_tr[b], torch.from_numpy(same).float()


class Embed(nn.Module):
    def __init__(self, dim=16):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 5, stride=2, padding=2)
        self.conv2 = nn.Conv2d(8, 16, 3, stride=2, padding=1)
        self.fc1 = nn.Linear(16 * 49, 64)
        self.fc2 = nn.Linear(64, dim)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = F.relu(self.conv2(x)).flatten(1)
        return self.fc2(F.relu(self.fc1(x)))


def contrastive(za, zb, same, margin=2.0):
    d = F.pairwise_distance(za, zb)
    return (same * d.pow(2) + (1 - same) * F.relu(margin - d).pow(2)).mean()


net = Embed()
optim = torch.optim.Adam(net.parameters(), lr=1e-3)


def knn_accuracy():
    net.eval()
    with torch.no_grad():
        ref, qry = net(x_tr).numpy(), net(x_te).numpy()
    net.train()
    return KNeighborsClassifier(5).fit(ref, y_tr).score(qry, y_te)


print(f"before training: knn accuracy {knn_accuracy():.3f}")
for epoch in range(1, 6):
    total = 0.0
    for a, b, same in pair_batches(80, 64):
        loss = contrastive(net(a), net(b), same)
        optim.zero_grad()
        loss.backward()
        optim.step()
        total += loss.item()
    print(f"epoch {epoch}: contrastive {total / 80:.4f}  knn accuracy {knn_accuracy():.3f}")
