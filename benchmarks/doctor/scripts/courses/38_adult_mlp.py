import numpy as np
import polars as pl
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(26)
df = pl.read_csv("embedded/adult_train.csv.gz", infer_schema_length=5000).sample(6000, seed=26, shuffle=True)
numeric = ["age", "fnlwgt", "education_num", "capital_gain", "capital_loss", "hours_per_week"]
num = df.select(numeric).to_numpy().astype("float32")
cat = df.select(["marital_status", "occupation", "sex"]).to_dummies().to_numpy().astype("float32")
y = (df["income"].str.strip_chars() == ">50K").to_numpy().astype("float32")
n_train = 4800
X = torch.from_numpy(np.hstack([num, cat]))
y = torch.from_numpy(y)
train_loader = DataLoader(TensorDataset(X[:n_train], y[:n_train]), batch_size=64, shuffle=True)
val_loader = DataLoader(TensorDataset(X[n_train:], y[n_train:]), batch_size=400)


class Income(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(d, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, x):
        return self.layers(x).squeeze(-1)


model = Income(X.shape[1])
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
criterion = nn.BCEWithLogitsLoss()


def validate():
    model.eval()
    loss, right = 0.0, 0
    with torch.no_grad():
        for xb, yb in val_loader:
            z = model(xb)
            loss += criterion(z, yb).item() * len(yb)
            right += ((z > 0) == (yb > 0.5)).sum().item()
    n = len(val_loader.dataset)
    return loss / n, right / n


for epoch in range(8):
    model.train()
    total = 0.0
    for xb, yb in train_loader:
        optimizer.zero_grad()
        loss = criterion(model(xb), yb)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(yb)
    vl, va = validate()
    print(f"epoch {epoch + 1}: train loss {total / n_train:.4f}, val loss {vl:.4f}, val acc {va:.4f}")
