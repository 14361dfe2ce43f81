import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(9)

arr = np.load("embedded/fashion_mnist_5k_1k.npz")
X = torch.tensor(arr["x_train"].reshape(-1, 784) / 255.0, dtype=torch.float32)
Y = torch.tensor(arr["y_train"], dtype=torch.int64)
Xt = torch.tensor(arr["x_test"].reshape(-1, 784) / 255.0, dtype=torch.float32)
Yt = torch.tensor(arr["y_test"], dtype=torch.int64)
m, s = X.mean(), X.std()
X, Xt = (X - m) / s, (Xt - m) / s
Y_hot = F.one_hot(Y, 10).float()


class MLP(nn.Module):
    def __init__(self, n_in, n_hidden, n_out):
        super().__init__()
        self.l1 = nn.Linear(n_in, n_hidden)
        self.l2 = nn.Linear(n_hidden, n_hidden)
        self.l3 = nn.Linear(n_hidden, n_out)

    def forward(self, x):
        x = F.relu(self.l1(x))
        x = F.relu(self.l2(x))
        return torch.softmax(self.l3(x), dim=-1)


net = MLP(784, 100, 10)
opt = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9)
criterion = nn.BCELoss()
batch = 100

for epoch in range(8):
    perm = torch.randperm(X.shape[0])
    total = 0.0
    for i in range(0, X.shape[0], batch):
        j = perm[i:i + batch]
        out = net(X[j])
        loss = criterion(out, Y_hot[j])
        opt.zero_grad()
        loss.backward()
        opt.step()
        total += loss.item() * len(j)
    with torch.no_grad():
        acc = (net(Xt).argmax(1) == Yt).float().mean().item()
    print(f"epoch {epoch + 1}  loss {total / len(X):.4f}  val acc {acc:.4f}")
