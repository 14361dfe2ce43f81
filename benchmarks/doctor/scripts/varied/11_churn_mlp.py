import numpy as np
import torch
import torch.nn as nn
from sklearn.datasets import make_classification
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import train_test_split

np.random.seed(4)
torch.manual_seed(4)
X, y = make_classification(n_samples=1500, n_features=20, n_informative=8, n_clusters_per_class=3, weights=[0.85],
                           class_sep=0.9, flip_y=0.02, random_state=4)
minority = np.where(y == 1)[0]
extra = np.random.choice(minority, size=(y == 0).sum() - len(minority), replace=True)
X = np.concatenate([X, X[extra]])
y = np.concatenate([y, y[extra]])
X_train, X_val, y_train, y_val = train_test_split(X, y, test_size=0.25, stratify=y, random_state=1)
mu, sd = X_train.mean(0), X_train.std(0)
X_train, X_val = (torch.tensor((a - mu) / sd, dtype=torch.float32) for a in (X_train, X_val))
y_train, y_val = torch.tensor(y_train).float(), torch.tensor(y_val).float()

net = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Dropout(0.1), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 1))
opt = torch.optim.Adam(net.parameters(), lr=2e-3)
bce = nn.BCEWithLogitsLoss()
for epoch in range(20):
    net.train()
    for b in torch.randperm(len(X_train)).split(32):
        opt.zero_grad()
        loss = bce(net(X_train[b]).squeeze(1), y_train[b])
        loss.backward()
        opt.step()
    net.eval()
    with torch.no_grad():
        logit = net(X_val).squeeze(1)
    bal = balanced_accuracy_score(y_val.numpy(), (logit > 0).numpy())
    print(f"epoch {epoch} train {loss.item():.4f} val {bce(logit, y_val).item():.4f} balanced acc {bal:.4f}")
