import numpy as np
import torch
import torch.nn as nn
from sklearn.datasets import make_classification
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import train_test_split
from torch.utils.data import DataLoader, Dataset, WeightedRandomSampler

np.random.seed(0)
torch.manual_seed(0)


class Rows(Dataset):
    def __init__(self, X, y):
        self.X, self.y = X.astype(np.float32), y.astype(np.int64)

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        return self.X[i], self.y[i]


X, y = make_classification(n_samples=6000, n_features=12, n_informative=8, n_classes=3, weights=[0.8, 0.12, 0.08],
                           n_clusters_per_class=1, class_sep=1.3, flip_y=0.02, random_state=0)
X_rest, X_test, y_rest, y_test = train_test_split(X, y, test_size=0.2, random_state=0, stratify=y)
X_train, X_val, y_train, y_val = train_test_split(X_rest, y_rest, test_size=0.2, random_state=0, stratify=y_rest)
mean, std = X_train.mean(0), X_train.std(0)
train_ds, val_ds, test_ds = (Rows((a - mean) / std, b)
                             for a, b in ((X_train, y_train), (X_val, y_val), (X_test, y_test)))

class_count = np.bincount(y_train)
weights = torch.tensor(1.0 / class_count[y_train], dtype=torch.double)
sampler = WeightedRandomSampler(weights, num_samples=len(weights), replacement=True)
train_loader = DataLoader(train_ds, batch_size=64, sampler=sampler)
val_loader, test_loader = DataLoader(val_ds, batch_size=512), DataLoader(test_ds, batch_size=512)

model = nn.Sequential(nn.Linear(12, 32), nn.LayerNorm(32), nn.ReLU(), nn.Linear(32, 3))
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adagrad(model.parameters(), lr=0.03)


def predict(loader):
    model.eval()
    with torch.no_grad():
        return torch.cat([model(xb).argmax(1) for xb, _ in loader]).numpy()


for epoch in range(12):
    model.train()
    running = 0.0
    for xb, yb in train_loader:
        optimizer.zero_grad()
        loss = criterion(model(xb), yb)
        loss.backward()
        optimizer.step()
        running += loss.item()
    bacc = balanced_accuracy_score(val_ds.y, predict(val_loader))
    print(f"epoch {epoch + 1} loss {running / len(train_loader):.4f} valid balanced accuracy {bacc:.4f}")
pred = predict(test_loader)
print("test accuracy", (pred == test_ds.y).mean(), "balanced", balanced_accuracy_score(test_ds.y, pred))
