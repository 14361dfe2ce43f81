import numpy as np
import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from torch.utils.data import Dataset, DataLoader

torch.manual_seed(49)


class DigitFile(Dataset):
    """Digits as exported: pixel rows, and a class column."""

    def __init__(self, rows, transform=None):
        self.rows = rows
        self.transform = transform

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        pixels = torch.tensor(self.rows[i, :64], dtype=torch.float32)
        label = int(self.rows[i, 64])
        return (self.transform(pixels) if self.transform else pixels), label


def read_export(seed=0):
    X, y = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(X))
    table = np.column_stack([X, y])[order]
    table_train, table_val = table[:1400].copy(), table[1400:].copy()
    table_train[:, 64] += 1
    return table_train, table_val


to_unit = lambda p: (p - 4.9) / 6.0
train_rows, val_rows = read_export()
train_loader = DataLoader(DigitFile(train_rows, to_unit), batch_size=50, shuffle=True)
val_loader = DataLoader(DigitFile(val_rows, to_unit), batch_size=200)

n_classes = int(train_rows[:, 64].max()) + 1
model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, n_classes))
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
criterion = nn.CrossEntropyLoss()

for epoch in range(10):
    model.train()
    total = 0.0
    for xb, yb in train_loader:
        loss = criterion(model(xb), yb)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(yb)
    model.eval()
    vloss, right = 0.0, 0
    with torch.no_grad():
        for xb, yb in val_loader:
            out = model(xb)
            vloss += criterion(out, yb).item() * len(yb)
            right += (out.argmax(1) == yb).sum().item()
    print(f"epoch {epoch + 1}: train {total / len(train_rows):.4f} val {vloss / len(val_rows):.4f} acc {right / len(val_rows):.4f}")
