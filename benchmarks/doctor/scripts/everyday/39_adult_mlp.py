import gzip
import numpy as np
import polars as pl
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(39)

df = pl.read_csv(gzip.open("embedded/adult_train.csv.gz").read(), n_rows=5000)
y = torch.tensor((df["income"].str.strip_chars() == ">50K").to_numpy().astype(np.float32))
table = df.select("age", "education_num", "hours_per_week",
                  pl.col("capital_gain").log1p(), pl.col("capital_loss").log1p(),
                  *[pl.col(c) for c in ("marital_status", "occupation", "relationship", "sex")])
X = table.to_dummies(["marital_status", "occupation", "relationship", "sex"]).to_numpy().astype(np.float32)
n_train = 4000
mean, std = X[:n_train].mean(0), X[:n_train].std(0) + 1e-6
X = torch.tensor((X - mean) / std)

train_loader = DataLoader(TensorDataset(X[:n_train], y[:n_train]), batch_size=64, shuffle=True)
val_loader = DataLoader(TensorDataset(X[n_train:], y[n_train:]), batch_size=50)

model = nn.Sequential(
    nn.Linear(X.shape[1], 64), nn.ReLU(), nn.Dropout(0.5),
    nn.Linear(64, 32), nn.ReLU(), nn.Dropout(0.5),
    nn.Linear(32, 1),
)
criterion = nn.BCEWithLogitsLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

for epoch in range(8):
    model.train()
    train_loss = 0.0
    for xb, yb in train_loader:
        optimizer.zero_grad()
        loss = criterion(model(xb).squeeze(1), yb)
        loss.backward()
        optimizer.step()
        train_loss += loss.item()

    val_loss, correct = 0.0, 0
    with torch.no_grad():
        for xb, yb in val_loader:
            logits = model(xb).squeeze(1)
            val_loss += criterion(logits, yb).item()
            correct += ((logits > 0) == (yb > 0.5)).sum().item()
    print(f"Epoch {epoch + 1}  train loss {train_loss / len(train_loader):.4f}  "
          f"val loss {val_loss / len(val_loader):.4f}  val acc {correct / (len(X) - n_train):.4f}")
