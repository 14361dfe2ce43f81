import numpy as np
import torch
import torch.nn as nn
import torch.optim as optim
from sklearn.datasets import load_wine
from sklearn.preprocessing import StandardScaler

# homework 3: classify the wines
torch.manual_seed(0)
rng = np.random.RandomState(0)
wine = load_wine()
X, y = wine.data, wine.target
idx = rng.permutation(len(X))
train_idx, val_idx = idx[:130], idx[130:]
scaler = StandardScaler()
X_train = scaler.fit_transform(X[train_idx])
X_val = scaler.transform(X[val_idx])
X_train = torch.FloatTensor(X_train)
X_val = torch.FloatTensor(X_val)
y_train = torch.LongTensor(y[train_idx])
y_val = torch.LongTensor(y[val_idx])

model = nn.Sequential(
    nn.Linear(13, 12),
    nn.ReLU(),
    nn.Linear(12, 3),
)
criterion = nn.NLLLoss()
optimizer = optim.Adam(model.parameters(), lr=0.01)

n_epochs = 20
for epoch in range(n_epochs):
    model.train()
    perm = torch.randperm(len(X_train))
    train_loss = 0
    for start in range(0, len(X_train), 16):
        batch = perm[start:start + 16]
        optimizer.zero_grad()
        outputs = model(X_train[batch])
        loss = criterion(outputs, y_train[batch])
        loss.backward()
        optimizer.step()
        train_loss += loss.item() * len(batch)
    model.eval()
    with torch.no_grad():
        val_out = model(X_val)
        val_loss = criterion(val_out, y_val)
        acc = (val_out.argmax(1) == y_val).float().mean()
    print(f'Epoch {epoch+1}/{n_epochs} train loss {train_loss/len(X_train):.4f} val loss {val_loss:.4f} val acc {acc:.4f}')
