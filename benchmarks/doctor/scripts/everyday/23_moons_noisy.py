import numpy as np
import torch
from torch import nn
from sklearn.datasets import make_moons

torch.manual_seed(0)
X, y = make_moons(n_samples=1500, noise=0.38, random_state=7)
X = (X - X[:1000].mean(0)) / X[:1000].std(0)
X, y = torch.tensor(X, dtype=torch.float32), torch.tensor(y, dtype=torch.float32)
X_train, y_train, X_val, y_val = X[:1000], y[:1000], X[1000:], y[1000:]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(2, 20)
        self.b = nn.Linear(20, 20)
        self.c = nn.Linear(20, 1)

    def forward(self, x):
        x = torch.tanh(self.a(x))
        x = torch.tanh(self.b(x))
        return self.c(x)[:, 0]


net = Net()
opt = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
sched = torch.optim.lr_scheduler.StepLR(opt, step_size=12, gamma=0.3)
bce = nn.functional.binary_cross_entropy_with_logits

for epoch in range(30):
    order = np.random.default_rng(epoch).permutation(len(X_train))
    net.train()
    losses = []
    for i in range(0, len(order), 50):
        b = order[i:i + 50]
        loss = bce(net(X_train[b]), y_train[b])
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
    sched.step()
    net.eval()
    with torch.no_grad():
        o = net(X_val)
        val = bce(o, y_val).item()
        acc = ((o > 0).float() == y_val).float().mean().item()
    if (epoch + 1) % 3 == 0:
        print(f"{epoch + 1:3d}: train {np.mean(losses):.3f} val {val:.3f} acc {acc:.3f}")
