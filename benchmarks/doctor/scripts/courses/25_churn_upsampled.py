"""Customer churn: 12% positives, minority class upsampled."""
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from sklearn.datasets import make_classification
from sklearn.metrics import f1_score
from sklearn.model_selection import train_test_split

np.random.seed(17)
torch.manual_seed(17)
X, y = make_classification(n_samples=2000, n_features=20, n_informative=6, weights=[0.88], flip_y=0.08,
                           class_sep=0.7, random_state=17)
X = X.astype("float32")


def upsample(X, y):
    pos = np.where(y == 1)[0]
    extra = np.random.choice(pos, size=(y == 0).sum() - len(pos), replace=True)
    keep = np.random.permutation(np.concatenate([np.arange(len(y)), extra]))
    return X[keep], y[keep]


X, y = upsample(X, y)
X_tr, X_va, y_tr, y_va = train_test_split(X, y, test_size=0.3, stratify=y, random_state=0)
mu, sd = X_tr.mean(0), X_tr.std(0)
X_tr, X_va = torch.tensor((X_tr - mu) / sd), torch.tensor((X_va - mu) / sd)
y_tr, y_va = torch.tensor(y_tr).float(), torch.tensor(y_va).float()
loader = DataLoader(TensorDataset(X_tr, y_tr), batch_size=64, shuffle=True)

net = nn.Sequential(nn.Linear(20, 48), nn.ReLU(), nn.Dropout(0.1), nn.Linear(48, 24), nn.ReLU(), nn.Linear(24, 1))
opt = torch.optim.Adam(net.parameters(), lr=2e-3, weight_decay=1e-4)
criterion = nn.BCEWithLogitsLoss()
for epoch in range(15):
    net.train()
    total = 0.0
    for xb, yb in loader:
        opt.zero_grad()
        loss = criterion(net(xb).squeeze(1), yb)
        loss.backward()
        opt.step()
        total += loss.item() * len(xb)
    net.eval()
    with torch.no_grad():
        logit = net(X_va).squeeze(1)
    pred = (logit > 0).numpy()
    print(f"epoch {epoch + 1:2d} train {total / len(X_tr):.3f} val {criterion(logit, y_va).item():.3f} "
          f"acc {(pred == y_va.numpy()).mean():.3f} f1 {f1_score(y_va.numpy(), pred):.3f}")
