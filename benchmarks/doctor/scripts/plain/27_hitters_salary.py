# %% Baseball salaries (log scale) with a small network and the Huber loss
import numpy as np
import polars as pl
import torch
import torch.nn as nn
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

torch.manual_seed(1)

# %%
df = pl.read_csv("data/regression/hitters.csv", null_values="").drop_nulls("Salary")
y = np.log(df["Salary"].to_numpy().astype(np.float64))
cats = np.column_stack([(df[c] == df[c].unique().sort()[0]).to_numpy() for c in ("League", "Division", "NewLeague")])
nums = df.drop("Salary", "League", "Division", "NewLeague").to_numpy().astype(np.float64)
nums = np.log1p(nums)
X = np.column_stack([nums, cats.astype(np.float64)])
X_tr, X_te, y_tr, y_te = train_test_split(X, y, test_size=0.25, random_state=1)
sc = StandardScaler().fit(X_tr)
mu, sd = y_tr.mean(), y_tr.std()
X_tr, X_te = (torch.tensor(sc.transform(a), dtype=torch.float32) for a in (X_tr, X_te))
t_tr, t_te = (torch.tensor((a - mu) / sd, dtype=torch.float32)[:, None] for a in (y_tr, y_te))

# %%
model = nn.Sequential(nn.Linear(X.shape[1], 16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 1))
loss_fn = nn.HuberLoss()
opt = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.05)

# %%
for epoch in range(24):
    model.train()
    tot = 0.0
    for idx in torch.randperm(len(X_tr)).split(16):
        opt.zero_grad()
        loss = loss_fn(model(X_tr[idx]), t_tr[idx])
        loss.backward()
        opt.step()
        tot += loss.item() * len(idx)
    model.eval()
    with torch.no_grad():
        p = model(X_te)
        te = loss_fn(p, t_te).item()
        r2 = 1 - ((p - t_te) ** 2).sum().item() / ((t_te - t_te.mean()) ** 2).sum().item()
    if (epoch + 1) % 4 == 0:
        print(f"epoch {epoch + 1:3d} train {tot / len(X_tr):.4f} test {te:.4f} R2 {r2:.3f}")
