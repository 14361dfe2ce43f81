import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from sklearn.datasets import make_regression
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

torch.manual_seed(43)

X, y = make_regression(n_samples=1200, n_features=12, n_informative=8, noise=20.0, random_state=43)
X_train, X_val, y_train, y_val = train_test_split(X, y, test_size=0.25, random_state=43)
x_scaler = StandardScaler().fit(X_train)
y_mean, y_std = y_train.mean(), y_train.std()
train_ds = TensorDataset(torch.tensor(x_scaler.transform(X_train), dtype=torch.float32),
                         torch.tensor((y_train - y_mean) / y_std, dtype=torch.float32))
val_ds = TensorDataset(torch.tensor(x_scaler.transform(X_val), dtype=torch.float32),
                       torch.tensor((y_val - y_mean) / y_std, dtype=torch.float32))
train_loader = DataLoader(train_ds, batch_size=32, shuffle=True)
val_loader = DataLoader(val_ds, batch_size=300)

model = nn.Sequential(nn.Linear(12, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU(), nn.Linear(48, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)


def criterion(pred, target):
    return ((pred - target) ** 2).mean()


for epoch in range(20):
    model.train()
    total = 0.0
    for xb, yb in train_loader:
        optimizer.zero_grad()
        loss = criterion(model(xb), yb)
        loss.backward()
        optimizer.step()
        total += loss.item()
    model.eval()
    preds, truth = [], []
    with torch.no_grad():
        for xb, yb in val_loader:
            preds.append(model(xb))
            truth.append(yb)
    r2 = r2_score(torch.cat(truth).numpy(), torch.cat(preds).squeeze(1).numpy())
    print(f"epoch {epoch + 1:02d} train {total / len(train_loader):.4f} val R2 {r2:.4f}")
