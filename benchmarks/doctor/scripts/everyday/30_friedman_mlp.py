import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split
from sklearn.datasets import make_friedman1

torch.manual_seed(30)
gen = torch.Generator().manual_seed(30)

X, y = make_friedman1(n_samples=1500, n_features=10, noise=0.5, random_state=30)
X = torch.tensor((X - X.mean(0)) / X.std(0), dtype=torch.float32)
y = torch.tensor((y - y.mean()) / y.std(), dtype=torch.float32).unsqueeze(1)
train_set, val_set = random_split(TensorDataset(X, y), [1200, 300], generator=gen)
train_loader = DataLoader(train_set, batch_size=32, shuffle=True)
val_loader = DataLoader(val_set, batch_size=300)

model = nn.Sequential(nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.8)
loss_fn = nn.MSELoss()
max_norm = 0.01

for epoch in range(20):
    model.train()
    train_loss = 0.0
    for xb, yb in train_loader:
        loss = loss_fn(model(xb), yb)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm)
        optimizer.step()
        train_loss += loss.item() * len(xb)
    model.eval()
    with torch.no_grad():
        xb, yb = next(iter(val_loader))
        pred = model(xb)
        r2 = 1 - ((pred - yb) ** 2).sum() / ((yb - yb.mean()) ** 2).sum()
    print(f"epoch {epoch + 1:2d} train mse {train_loss / 1200:.4f} val mse {loss_fn(pred, yb).item():.4f} R2 {r2.item():.3f}")
