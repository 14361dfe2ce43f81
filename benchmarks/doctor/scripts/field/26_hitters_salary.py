"""Salary of baseball players (Hitters), 5-fold cross-validation of a small MLP."""
import numpy as np
import pandas as pd
import torch
import torch.nn as nn
from sklearn.model_selection import KFold
from sklearn.preprocessing import StandardScaler
from torch.utils.data import DataLoader, TensorDataset

EPOCHS = 40
LR = 1e-3


def load():
    df = pd.read_csv("data/regression/hitters.csv").dropna(subset=["Salary"])
    for col, one in (("League", "N"), ("Division", "W"), ("NewLeague", "N")):
        df[col] = (df[col] == one).astype(float)
    for col in [c for c in df.columns if c.startswith("C") or c in ("PutOuts", "Assists")]:
        df[col] = np.log1p(df[col])
    target = df.pop("Salary").to_numpy(dtype=np.float32)
    return df.to_numpy(dtype=np.float32), target


def make_model(d):
    return nn.Sequential(
        nn.Linear(d, 32), nn.ReLU(), nn.Dropout(0.1),
        nn.Linear(32, 16), nn.ReLU(),
        nn.Linear(16, 1),
    )


def train_one_epoch(model, loader, opt, loss_fn):
    model.train()
    total = 0.0
    for xb, yb in loader:
        opt.zero_grad()
        loss = loss_fn(model(xb).squeeze(1), yb)
        loss.backward()
        opt.step()
        total += loss.item() * len(xb)
    return total / len(loader.dataset)


def main():
    torch.manual_seed(11)
    X, y = load()
    scores = []
    folds = KFold(n_splits=5, shuffle=True, random_state=11)
    for fold, (tr, te) in enumerate(folds.split(X)):
        sx = StandardScaler().fit(X[tr])
        x_tr = torch.from_numpy(sx.transform(X[tr]).astype(np.float32))
        x_te = torch.from_numpy(sx.transform(X[te]).astype(np.float32))
        y_tr = torch.from_numpy(y[tr])
        loader = DataLoader(TensorDataset(x_tr, y_tr), batch_size=32, shuffle=True)

        model = make_model(X.shape[1])
        opt = torch.optim.AdamW(model.parameters(), lr=LR, weight_decay=1e-2)
        for _ in range(EPOCHS):
            train_loss = train_one_epoch(model, loader, opt, nn.MSELoss())

        model.eval()
        with torch.no_grad():
            pred = model(x_te).squeeze(1).numpy()
        r2 = 1 - ((pred - y[te]) ** 2).sum() / ((y[te] - y[tr].mean()) ** 2).sum()
        scores.append(r2)
        print(f"fold {fold}: train mse {train_loss:.3f}  held-out R2 {r2:.3f}")
    print(f"mean R2 {np.mean(scores):.3f} +- {np.std(scores):.3f}")


if __name__ == "__main__":
    main()
