import gzip
import numpy as np
import polars as pl
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(33)
df = pl.read_csv(gzip.open("embedded/adult_train.csv.gz").read()).sample(5000, seed=33)
age = df["age"].to_numpy().astype("float32")
edu = df["education_num"].to_numpy().astype("float32")
hours = df["hours_per_week"].to_numpy().astype("float32")
gain = np.log(df["capital_gain"].to_numpy().astype("float32"))
cols = []
for c in (age, edu, hours):
    cols.append((c - c[:4000].mean()) / c[:4000].std())
cols.append(gain / 10)
cols += list(df.select(["marital_status", "sex"]).to_dummies().to_numpy().T.astype("float32"))
X = torch.tensor(np.stack(cols, 1))
y = torch.tensor((df["income"] == ">50K").to_numpy().astype("float32"))

train = DataLoader(TensorDataset(X[:4000], y[:4000]), batch_size=64, shuffle=True)
model = nn.Sequential(nn.Linear(X.shape[1], 32), nn.ReLU(), nn.Linear(32, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

for epoch in range(8):
    model.train()
    tot = 0.0
    for xb, yb in train:
        loss = nn.functional.binary_cross_entropy_with_logits(model(xb).squeeze(1), yb)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        tot += loss.item()
    model.eval()
    with torch.no_grad():
        pred = model(X[4000:]).squeeze(1) > 0
    print(epoch, f"train loss {tot / len(train):.4f}", f"val acc {(pred == (y[4000:] > 0)).float().mean():.4f}")
