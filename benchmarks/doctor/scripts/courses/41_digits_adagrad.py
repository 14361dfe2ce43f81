import numpy as np
import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset

rng = np.random.default_rng(28)
torch.manual_seed(28)
X, y = load_digits(return_X_y=True)
X = ((X - X.mean(0)) / (X.std(0) + 0.1)).astype("float32")

n = len(X)
test = rng.choice(n, 360, replace=False)
rest = np.setdiff1d(np.arange(n), test)
X_test, y_test = X[test], y[test]
X_rest, y_rest = X[rest], y[rest]
X_train = X_rest[rng.permutation(len(rest))]
y_train = y_rest[rng.permutation(len(rest))]

train = DataLoader(TensorDataset(torch.from_numpy(X_train), torch.from_numpy(y_train)), batch_size=32, shuffle=True)
xt, yt = torch.from_numpy(X_test), torch.from_numpy(y_test)
model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, 10))
opt = torch.optim.Adagrad(model.parameters(), lr=0.03)
ce = nn.CrossEntropyLoss()
for epoch in range(12):
    model.train()
    s = 0.0
    for xb, yb in train:
        opt.zero_grad()
        loss = ce(model(xb), yb)
        loss.backward()
        opt.step()
        s += loss.item()
    model.eval()
    with torch.no_grad():
        acc = (model(xt).argmax(1) == yt).float().mean().item()
    print("epoch", epoch, "train loss", round(s / len(train), 3), "test acc", round(acc, 3))
