"""Anomaly flags in machine logs: about 20% positives."""
import math
import torch
import torch.nn as nn
from sklearn.datasets import make_classification
from sklearn.metrics import roc_auc_score
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(27)
X, y = make_classification(n_samples=4000, n_features=16, n_informative=8, n_clusters_per_class=4, weights=[0.8],
                           class_sep=1.2, flip_y=0.01, random_state=27)
X = torch.tensor((X - X.mean(0)) / X.std(0), dtype=torch.float32)
y = torch.tensor(y, dtype=torch.float32)
tr, va = slice(0, 3200), slice(3200, None)


class Flagger(nn.Module):
    def __init__(self, prior=0.02):
        super().__init__()
        self.fc1 = nn.Linear(16, 64)
        self.fc2 = nn.Linear(64, 32)
        self.fc3 = nn.Linear(32, 1)
        bias = -math.log((1 - prior) / prior)
        for layer in (self.fc1, self.fc2, self.fc3):
            nn.init.constant_(layer.bias, bias)

    def forward(self, x):
        x = torch.relu(self.fc1(x))
        x = torch.relu(self.fc2(x))
        return self.fc3(x)[:, 0]


model = Flagger()
opt = torch.optim.Adam(model.parameters(), lr=2e-3)
lossf = nn.BCEWithLogitsLoss()
loader = DataLoader(TensorDataset(X[tr], y[tr]), batch_size=64, shuffle=True)
for epoch in range(10):
    model.train()
    run = 0.0
    for xb, yb in loader:
        opt.zero_grad()
        loss = lossf(model(xb), yb)
        loss.backward()
        opt.step()
        run += loss.item()
    model.eval()
    with torch.no_grad():
        z = model(X[va])
    print(f"epoch {epoch}: train {run / len(loader):.4f} val {lossf(z, y[va]).item():.4f} "
          f"auc {roc_auc_score(y[va].numpy(), z.numpy()):.3f}")
