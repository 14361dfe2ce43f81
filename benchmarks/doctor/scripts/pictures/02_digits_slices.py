import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

torch.manual_seed(123)
np.random.seed(123)

data = load_digits()
X = (data.data - data.data.mean()) / data.data.std()
Y = np.eye(10)[data.target]
order = np.argsort(data.target, kind="stable")
X, Y = X[order].astype(np.float32), Y[order].astype(np.float32)
held = np.arange(len(X)) % 5 == 4
X_train, Y_train, X_test, Y_test = X[~held], Y[~held], X[held], Y[held]
cut = len(X_train)

net = nn.Sequential(
    nn.Linear(64, 48),
    nn.ReLU(),
    nn.Linear(48, 10),
)
loss_func = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)

n_epochs, batch = 25, 50
for epoch in range(n_epochs):
    ep_loss = 0
    for start in range(0, cut, batch):
        b = slice(start, min(start + batch, cut))
        inputs = torch.from_numpy(X_train[b])
        targets = torch.from_numpy(Y_train[b])
        outputs = net(inputs)
        loss = loss_func(outputs, targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        ep_loss += loss.item() * len(inputs)
    with torch.no_grad():
        pred = net(torch.from_numpy(X_test)).argmax(1).numpy()
    print("epoch", epoch, "loss", ep_loss / cut, "test accuracy", (pred == Y_test.argmax(1)).mean())
