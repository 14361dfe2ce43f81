import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from sklearn.datasets import make_classification
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

torch.manual_seed(1)
rng = np.random.default_rng(1)

X, y = make_classification(n_samples=1500, n_features=20, n_informative=6, n_redundant=2,
                           weights=[0.85], flip_y=0.08, class_sep=0.7, random_state=4)


def balance(X, y):
    pos = np.flatnonzero(y == 1)
    extra = rng.choice(pos, size=(y == 0).sum() - len(pos), replace=True)
    keep = np.concatenate([np.arange(len(y)), extra])
    return X[keep], y[keep]


X, y = balance(X, y)
X_train, X_val, y_train, y_val = train_test_split(X, y, test_size=0.25, random_state=2, stratify=y)
scaler = StandardScaler().fit(X_train)
X_train, X_val = scaler.transform(X_train), scaler.transform(X_val)

train_ds = TensorDataset(torch.tensor(X_train, dtype=torch.float32), torch.tensor(y_train, dtype=torch.float32))
loader = DataLoader(train_ds, batch_size=32, shuffle=True)
Xv = torch.tensor(X_val, dtype=torch.float32)

model = nn.Sequential(nn.Linear(20, 48), nn.ReLU(), nn.Dropout(0.1), nn.Linear(48, 24), nn.ReLU(), nn.Linear(24, 1))
criterion = nn.BCEWithLogitsLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

for epoch in range(1, 16):
    model.train()
    epoch_loss = 0.0
    for xb, yb in loader:
        optimizer.zero_grad()
        loss = criterion(model(xb).squeeze(1), yb)
        loss.backward()
        optimizer.step()
        epoch_loss += loss.item()
    model.eval()
    with torch.no_grad():
        pred = (model(Xv).squeeze(1) > 0).numpy()
    print(f"Epoch {epoch:02d} loss={epoch_loss / len(loader):.4f} "
          f"val_bal_acc={balanced_accuracy_score(y_val, pred):.4f}")
