# A small net learns from a larger one, temperature 3, on the 1500 pictures it may keep
import numpy as np
import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(33)
d = np.load("embedded/mnist_5k_1k.npz")
p = lambda a: (torch.tensor(a, dtype=torch.float32).view(-1, 784) / 255 - 0.1307) / 0.3081
X, Xv = p(d["x_train"]), p(d["x_test"])
y, yv = torch.tensor(d["y_train"]).long(), torch.tensor(d["y_test"]).long()
teacher = nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Dropout(0.4), nn.Linear(256, 10))
student = nn.Sequential(nn.Linear(784, 24), nn.ReLU(), nn.Linear(24, 10))


def acc(net):
    net.eval()
    with torch.no_grad():
        return (net(Xv).argmax(1) == yv).float().mean().item()


opt = torch.optim.Adam(teacher.parameters(), lr=1e-3)
for epoch in range(6):
    teacher.train()
    for b in torch.randperm(len(X)).split(64):
        loss = F.cross_entropy(teacher(X[b]), y[b])
        opt.zero_grad(); loss.backward(); opt.step()
    print(f"teacher epoch {epoch} loss {loss.item():.4f} val acc {acc(teacher):.4f}")

teacher.eval()
TEMP, MIX = 3.0, 0.7
opt = torch.optim.Adam(student.parameters(), lr=2e-3, weight_decay=1e-5)
for epoch in range(16):
    student.train()
    tot = 0.0
    for b in torch.randperm(1500).split(32):
        with torch.no_grad():
            soft = F.softmax(teacher(X[b]) / TEMP, dim=1)
        out = student(X[b])
        kd = F.kl_div(F.log_softmax(out / TEMP, dim=1), soft, reduction="batchmean") * TEMP ** 2
        loss = MIX * kd + (1 - MIX) * F.cross_entropy(out, y[b])
        opt.zero_grad(); loss.backward(); opt.step()
        tot += loss.item() * len(b)
    print(f"student epoch {epoch} loss {tot / 1500:.4f} val acc {acc(student):.4f}")
