"""Predict churn on an imbalanced table; the rare class is oversampled for training."""
import numpy as np
import torch
import torch.nn as nn
from sklearn.datasets import make_classification
from sklearn.metrics import balanced_accuracy_score, f1_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from sklearn.utils import resample
from torch.utils.data import DataLoader, TensorDataset

SEED = 13
torch.manual_seed(SEED)


def oversample(X, y):
    """Repeat rows of the minority class until both classes have the same size."""
    minority = X[y == 1]
    extra = resample(minority, n_samples=(y == 0).sum() - len(minority), random_state=SEED)
    X = np.concatenate([X, extra])
    y = np.concatenate([y, np.ones(len(extra), dtype=y.dtype)])
    return X, y


X, y = make_classification(n_samples=4000, n_features=20, n_informative=6, n_redundant=2, weights=[0.9],
                           class_sep=0.9, flip_y=0.06, random_state=SEED)
X, y = oversample(X, y)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.25, stratify=y, random_state=SEED)
scaler = StandardScaler().fit(X_train)
X_train = torch.tensor(scaler.transform(X_train), dtype=torch.float32)
X_test = torch.tensor(scaler.transform(X_test), dtype=torch.float32)
y_train = torch.tensor(y_train, dtype=torch.float32)
y_test = torch.tensor(y_test, dtype=torch.float32)

loader = DataLoader(TensorDataset(X_train, y_train), batch_size=64, shuffle=True)
model = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
loss_fn = nn.BCEWithLogitsLoss()

for epoch in range(12):
    model.train()
    total = 0.0
    for xb, yb in loader:
        optimizer.zero_grad()
        loss = loss_fn(model(xb).squeeze(1), yb)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(yb)
    model.eval()
    with torch.no_grad():
        logits = model(X_test).squeeze(1)
        test_loss = loss_fn(logits, y_test).item()
    pred = (logits > 0).int().numpy()
    print(f"epoch {epoch + 1:2d} train {total / len(y_train):.4f} test {test_loss:.4f} "
          f"balanced acc {balanced_accuracy_score(y_test, pred):.3f} f1 {f1_score(y_test, pred):.3f}")
