import argparse
import numpy as np
import torch
from torch import nn
from sklearn.datasets import make_classification
from sklearn.metrics import average_precision_score, recall_score
from sklearn.model_selection import train_test_split

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=9)
parser.add_argument("--lr", type=float, default=1e-3)
parser.add_argument("--batch-size", type=int, default=64)
args = parser.parse_args()

torch.manual_seed(0)
X, y = make_classification(9000, 24, n_informative=8, n_redundant=4, n_clusters_per_class=2,
                           weights=[0.94], flip_y=0.01, class_sep=1.1, random_state=8)
X_tr, X_va, y_tr, y_va = train_test_split(X, y, test_size=0.25, stratify=y, random_state=0)
mu, sd = X_tr.mean(0), X_tr.std(0)
X_tr, X_va = [torch.tensor((a - mu) / sd, dtype=torch.float32) for a in (X_tr, X_va)]
y_t = torch.tensor(y_tr, dtype=torch.float32)

net = nn.Sequential(nn.Linear(24, 64), nn.SiLU(), nn.Linear(64, 32), nn.SiLU(), nn.Linear(32, 1))
ratio = (y_t == 0).sum() / (y_t == 1).sum()
criterion = nn.BCEWithLogitsLoss(pos_weight=ratio.sqrt())
optimizer = torch.optim.AdamW(net.parameters(), lr=args.lr, weight_decay=1e-2)

print(f"positives in training: {int(y_t.sum())} of {len(y_t)}")
for epoch in range(args.epochs):
    net.train()
    perm = torch.randperm(len(X_tr))
    losses = []
    for i in range(0, len(perm), args.batch_size):
        b = perm[i:i + args.batch_size]
        optimizer.zero_grad()
        loss = criterion(net(X_tr[b]).squeeze(-1), y_t[b])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    net.eval()
    with torch.no_grad():
        p = torch.sigmoid(net(X_va).squeeze(-1)).numpy()
    print(f"epoch {epoch}: loss {np.mean(losses):.4f} AP {average_precision_score(y_va, p):.3f} "
          f"recall {recall_score(y_va, p > 0.5):.3f}")
