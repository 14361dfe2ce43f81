import torch
import torch.nn as nn
from sklearn.datasets import make_classification
from sklearn.metrics import average_precision_score, balanced_accuracy_score
from sklearn.model_selection import train_test_split
from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler

torch.manual_seed(44)
X, y = make_classification(6000, 16, n_informative=6, n_redundant=3, n_clusters_per_class=2, weights=[0.96], class_sep=1.4,
                           flip_y=0.0, random_state=44)
a, b, c, d = train_test_split(X, y, test_size=0.25, stratify=y, random_state=44)
m, s = a.mean(0), a.std(0)
xt, xv = torch.tensor((a - m) / s, dtype=torch.float32), torch.tensor((b - m) / s, dtype=torch.float32)
yt, yv = torch.tensor(c, dtype=torch.float32), torch.tensor(d, dtype=torch.float32)
counts = torch.bincount(yt.long()).float()
sampler = WeightedRandomSampler((1 / counts)[yt.long()], num_samples=3000, replacement=True)
loader = DataLoader(TensorDataset(xt, yt), batch_size=60, sampler=sampler)

net = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 1))
crit = nn.BCEWithLogitsLoss()


def phase(name, epochs, lr):
    opt = torch.optim.RAdam(net.parameters(), lr, weight_decay=1e-3)
    for epoch in range(epochs):
        net.train()
        tot = 0.0
        for xb, yb in loader:
            opt.zero_grad()
            loss = crit(net(xb).squeeze(1), yb)
            loss.backward()
            opt.step()
            tot += loss.item() / len(loader)
        net.eval()
        with torch.no_grad():
            o = net(xv).squeeze(1)
        print(f"{name} {epoch} balanced train loss {tot:.4f} val loss {crit(o, yv).item():.4f} "
              f"balanced acc {balanced_accuracy_score(yv, o > 0):.3f} AP {average_precision_score(yv, o):.3f}")


phase("main", 12, 8e-3)
phase("polish", 4, 8e-4)
