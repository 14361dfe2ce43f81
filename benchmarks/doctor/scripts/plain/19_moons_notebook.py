#!/usr/bin/env python
# coding: utf-8

# In[1]:
import torch
import torch.nn as nn
from sklearn.datasets import make_moons

torch.manual_seed(0)

# In[2]:
X, y = make_moons(n_samples=1500, noise=0.2, random_state=0)
X = torch.from_numpy(X).float()
y = torch.from_numpy(y).float()
X_train, y_train = X[:1000], y[:1000]
X_val, y_val = X[1000:1250], y[1000:1250]
X_test, y_test = X[1250:], y[1250:]

# In[3]:
net = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 1))
print(net)
print("parameters:", sum(p.numel() for p in net.parameters()))

# In[4]:
opt = torch.optim.SGD(net.parameters(), lr=0.03, momentum=0.9)
loss_fn = nn.BCEWithLogitsLoss()
history = []

# In[5]:
for epoch in range(25):
    for idx in torch.randperm(len(X_train)).split(50):
        loss = loss_fn(net(X_train[idx]).squeeze(-1), y_train[idx])
        opt.zero_grad()
        loss.backward()
        opt.step()
    with torch.no_grad():
        tr = loss_fn(net(X_train).squeeze(-1), y_train).item()
        out = net(X_val).squeeze(-1)
        va = loss_fn(out, y_val).item()
        acc = ((out > 0) == (y_val > 0.5)).float().mean().item()
    history.append((tr, va))
    print(f"epoch {epoch:3d}  train {tr:.4f}  val {va:.4f}  acc {acc:.3f}")

# In[6]:
with torch.no_grad():
    print("test acc", ((net(X_test).squeeze(-1) > 0) == (y_test > 0.5)).float().mean().item())
