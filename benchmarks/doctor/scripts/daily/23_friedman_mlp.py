import torch
import torch.nn as nn
from sklearn.datasets import make_friedman1
from sklearn.preprocessing import StandardScaler
from torch.utils.data import TensorDataset, DataLoader, random_split

torch.manual_seed(21)
X, y = make_friedman1(n_samples=2000, n_features=10, noise=0.5, random_state=21)
X = torch.tensor(StandardScaler().fit_transform(X), dtype=torch.float32)
y = torch.tensor((y - y.mean()) / y.std(), dtype=torch.float32).unsqueeze(1)
train_set, val_set = random_split(TensorDataset(X, y), [1600, 400], generator=torch.Generator().manual_seed(0))
train_loader = DataLoader(train_set, batch_size=64, shuffle=True)
val_loader = DataLoader(val_set, batch_size=400)

model = nn.Sequential(nn.Linear(10, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=15, gamma=0.3)
mse = nn.MSELoss()


def train_one_epoch():
    model.train()
    total = 0.0
    for xb, yb in train_loader:
        loss = mse(model(xb), yb)
        loss.backward()
        optimizer.step()
        total += loss.item()
    return total / len(train_loader)


def validate():
    model.eval()
    with torch.no_grad():
        return sum(mse(model(xb), yb).item() for xb, yb in val_loader) / len(val_loader)


for epoch in range(25):
    tl = train_one_epoch()
    vl = validate()
    scheduler.step()
    print(f"Epoch {epoch:2d} | train mse {tl:.4f} | val mse {vl:.4f}")
