import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(21)
npz = np.load("embedded/mnist_5k_1k.npz")
scale = lambda a: (torch.as_tensor(a, dtype=torch.float32).flatten(1) / 255 - 0.1307) / 0.3081
x, y = scale(npz["x_train"]), torch.as_tensor(npz["y_train"]).long()
xv, yv = scale(npz["x_test"]), torch.as_tensor(npz["y_test"]).long()


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(784, 128)
        self.fc2 = nn.Linear(128, 64)
        self.fc3 = nn.Linear(64, 10)

    def forward(self, x):
        h1 = F.relu(self.fc1(x))
        h2 = F.relu(self.fc2(h1))
        return self.fc3(h2), (h1, h2)


net = Net()
opt = torch.optim.Adam(net.parameters(), lr=1e-3)
l1_act = 0.02
for epoch in range(8):
    net.train()
    ce_sum = 0.0
    for b in torch.randperm(len(x)).split(64):
        out, hidden = net(x[b])
        ce = F.cross_entropy(out, y[b])
        sparsity = sum(h.abs().sum(1).mean() for h in hidden)
        loss = ce + l1_act * sparsity
        opt.zero_grad()
        loss.backward()
        opt.step()
        ce_sum += ce.item() * len(b)
    net.eval()
    with torch.no_grad():
        out, _ = net(xv)
        print(f"epoch {epoch} ce {ce_sum / len(x):.4f} total {loss.item():.4f} val ce {F.cross_entropy(out, yv).item():.4f} acc {(out.argmax(1) == yv).float().mean().item():.4f}")
