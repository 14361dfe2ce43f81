import torch
from sklearn.datasets import load_breast_cancer

torch.manual_seed(5)
data = load_breast_cancer()
X = torch.tensor(data.data, dtype=torch.float32)
y = torch.tensor(data.target, dtype=torch.float32)
idx = torch.randperm(len(X))
X, y = X[idx], y[idx]
n_train = 430
mean, std = X[:n_train].mean(0), X[:n_train].std(0)
X = (X - mean) / std
x_train, y_train = X[:n_train], y[:n_train]
x_val, y_val = X[n_train:], y[n_train:]

model = torch.nn.Linear(30, 1)
loss_fn = torch.nn.BCEWithLogitsLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

for epoch in range(30):
    perm = torch.randperm(n_train)
    epoch_loss = 0.0
    for start in range(0, n_train, 32):
        b = perm[start:start + 32]
        optimizer.zero_grad()
        out = model(x_train[b]).squeeze(1)
        loss = loss_fn(out, y_train[b])
        loss.backward()
        optimizer.step()
        epoch_loss += loss.item() * len(b)
    with torch.no_grad():
        out = model(x_val).squeeze(1)
        val_loss = loss_fn(out, y_val).item()
        acc = ((out > 0) == (y_val > 0.5)).float().mean().item()
    print(f"{epoch + 1}/30 loss={epoch_loss / n_train:.4f} val_loss={val_loss:.4f} val_acc={acc:.4f}")
