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
idx = np.random.permutation(len(X))
cut = int(0.8 * len(X))
X_train, Y_train = X[idx[:cut]].astype(np.float32), Y[idx[:cut]].astype(np.float32)
X_test, Y_test = X[idx[cut:]].astype(np.float32), Y[idx[cut:]].astype(np.float32)

net = nn.Sequential(
    nn.Linear(64, 48),
    nn.ReLU(),
    nn.Linear(48, 10),
    nn.Sigmoid(),
)
loss_func = nn.MSELoss()
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)

n_epochs, batch = 25, 50
for epoch in range(n_epochs):
    shuffle = np.random.permutation(cut)
    ep_loss = 0
    for start in range(0, cut, batch):
        b = shuffle[start:start + batch]
        inputs = torch.from_numpy(X_train[b])
        targets = torch.from_numpy(Y_train[b])
        outputs = net(inputs)
        loss = loss_func(outputs, targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        ep_loss += loss.item() * len(b)
    with torch.no_grad():
        pred = net(torch.from_numpy(X_test)).argmax(1).numpy()
    print("epoch", epoch, "loss", ep_loss / cut, "test accuracy", (pred == Y_test.argmax(1)).mean())
