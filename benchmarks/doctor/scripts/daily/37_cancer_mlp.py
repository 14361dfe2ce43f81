import numpy as np
import torch
from torch import nn
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import StandardScaler

rng = np.random.RandomState(3)
torch.manual_seed(3)
# hospital export, the measurements used in the first study
data = load_breast_cancer()
keep = [0, 1, 4, 5, 8, 9, 10, 14, 17, 18, 21, 24]
X, y = data.data[:, keep].copy(), data.target
for col in range(X.shape[1]):
    lost = rng.rand(len(X)) < 0.08
    X[lost, col] = -999.0

order = rng.permutation(len(X))
tr, va = order[:430], order[430:]
scaler = StandardScaler().fit(X[tr])
X = torch.tensor(scaler.transform(X), dtype=torch.float32)
y = torch.tensor(y, dtype=torch.float32)

clf = nn.Sequential(nn.Linear(len(keep), 32), nn.ReLU(), nn.Linear(32, 1))
opt = torch.optim.AdamW(clf.parameters(), lr=3e-3, weight_decay=0.01)
crit = nn.BCEWithLogitsLoss()

for epoch in range(1, 21):
    clf.train()
    rng.shuffle(tr)
    total = 0
    for i in range(0, len(tr), 32):
        b = tr[i:i + 32]
        opt.zero_grad()
        loss = crit(clf(X[b]).view(-1), y[b])
        loss.backward()
        opt.step()
        total += loss.item() * len(b)
    clf.eval()
    with torch.no_grad():
        z = clf(X[va]).view(-1)
        print("epoch %d  train %.4f  val %.4f  val acc %.4f" % (
            epoch, total / len(tr), crit(z, y[va]).item(), ((z > 0) == (y[va] > 0)).float().mean().item()))
