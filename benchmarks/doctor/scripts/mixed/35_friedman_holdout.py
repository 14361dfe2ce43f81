# regression baseline w/ huber, holdout
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from sklearn.datasets import make_friedman2
from sklearn.preprocessing import StandardScaler

torch.manual_seed(123)
X, y = make_friedman2(2000, noise=30.0, random_state=123)
xs, ys = StandardScaler(), StandardScaler()
X_train = xs.fit_transform(X[:1500]); X_test = xs.transform(X[1500:])
y_train = ys.fit_transform(y[:1500, None]); y_test = ys.transform(y[1500:, None])
t = lambda a: torch.tensor(a, dtype=torch.float32)
train_loader = DataLoader(TensorDataset(t(X_train), t(y_train)), batch_size=1500, shuffle=True)
test_loader = DataLoader(TensorDataset(t(X_test), t(y_test)), batch_size=250)

model = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 1))
criterion = nn.HuberLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones=[12, 17], gamma=0.2)
EPOCHS = 20


def run_epoch(loader, training):
    model.train() if training else model.eval()
    total, abs_err = 0.0, 0.0
    with torch.set_grad_enabled(training):
        for xb, yb in loader:
            pred = model(xb)
            loss = criterion(pred, yb)
            if training:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            total += loss.item() * len(xb)
            abs_err += (pred - yb).abs().sum().item()
    return total / len(loader.dataset), abs_err / len(loader.dataset) * ys.scale_[0]


for epoch in range(EPOCHS):
    tr, tr_mae = run_epoch(train_loader, True)
    te, te_mae = run_epoch(test_loader, False)
    scheduler.step()
    print(f'{epoch:02d} huber {tr:.4f}/{te:.4f} MAE {tr_mae:.1f}/{te_mae:.1f}')
