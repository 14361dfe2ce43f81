# Half of the units dropped in a wide net on 1500 images
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(8)
d = np.load("embedded/mnist_5k_1k.npz")
prep = lambda a: (torch.tensor(a.reshape(-1, 784), dtype=torch.float32) / 255 - 0.13) / 0.31
X, y = prep(d["x_train"][:1500]), torch.tensor(d["y_train"][:1500].astype(int))
Xv, yv = prep(d["x_test"]), torch.tensor(d["y_test"].astype(int))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(784, 256)
        self.fc2 = nn.Linear(256, 10)

    def forward(self, x):
        x = F.dropout(x, 0.2, self.training)
        x = F.dropout(F.relu(self.fc1(x)), 0.5, self.training)
        return self.fc2(x)


net = Net()
optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
for epoch in range(15):
    net.train()
    total = 0.0
    for idx in torch.randperm(len(X)).split(50):
        optimizer.zero_grad()
        loss = F.cross_entropy(net(X[idx]), y[idx])
        loss.backward()
        optimizer.step()
        total += loss.item() * len(idx)
    net.eval()
    with torch.no_grad():
        logits = net(Xv)
    print(f"epoch {epoch:2d} train loss {total / len(X):.4f} val loss {F.cross_entropy(logits, yv).item():.4f} acc {(logits.argmax(1) == yv).float().mean().item():.4f}")
