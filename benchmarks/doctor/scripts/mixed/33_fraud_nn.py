# V3: simple NN for the fraud comp, BCE + class weights
import numpy as np
import torch
from torch import nn
from torch.utils.data import TensorDataset, DataLoader
from sklearn.datasets import make_classification
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.metrics import balanced_accuracy_score, f1_score

SEED = 99
torch.manual_seed(SEED)
X, y = make_classification(n_samples=9000, n_features=16, n_informative=6, n_redundant=2, weights=[0.97],
                           class_sep=0.35, flip_y=0.01, random_state=SEED)
tr, va = next(StratifiedShuffleSplit(1, test_size=0.25, random_state=SEED).split(X, y))
mu, sigma = X[tr].mean(0), X[tr].std(0)
X = torch.tensor((X - mu) / sigma, dtype=torch.float32)
y = torch.tensor(y)
print('positives', y[tr].float().mean().item())

net = nn.Sequential(
    nn.Linear(16, 24), nn.BatchNorm1d(24), nn.ReLU(),
    nn.Linear(24, 16), nn.ReLU(),
    nn.Linear(16, 2),
)
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=1e-2)
dl = DataLoader(TensorDataset(X[tr], y[tr]), batch_size=100, shuffle=True)
for epoch in range(5):
    net.train()
    L = []
    for xb, yb in dl:
        loss = criterion(net(xb), yb)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        L.append(loss.item())
    net.eval()
    with torch.no_grad():
        out = net(X[va])
        vloss = criterion(out, y[va]).item()
    pred = out.argmax(1).numpy()
    print(f"ep {epoch} loss {np.mean(L):.4f} vloss {vloss:.4f} bal.acc {balanced_accuracy_score(y[va], pred):.4f} "
          f"f1 {f1_score(y[va], pred):.4f}")
