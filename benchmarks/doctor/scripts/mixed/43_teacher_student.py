"""Distil a wide digit classifier into a narrow one."""
import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy, kl_div, log_softmax, softmax

torch.manual_seed(14)
z = np.load("embedded/mnist_5k_1k.npz")
prep = lambda k: (torch.tensor(z[k]).float()[:, ::2, ::2].reshape(-1, 196) / 255 - 0.13) / 0.31
x, xv = prep("x_train"), prep("x_test")
y, yv = torch.tensor(z["y_train"]).long(), torch.tensor(z["y_test"]).long()
T, ALPHA = 3.0, 0.7


def mlp(*dims, p=0.0):
    mods = []
    for a, b in zip(dims[:-2], dims[1:-1]):
        mods += [nn.Linear(a, b), nn.ReLU(), nn.Dropout(p)]
    return nn.Sequential(*mods, nn.Linear(dims[-2], dims[-1]))


@torch.no_grad()
def acc(net):
    net.eval()
    return (net(xv).argmax(1) == yv).float().mean().item()


teacher = mlp(196, 256, 256, 10, p=0.3)
opt = torch.optim.Adam(teacher.parameters(), lr=1e-3)
for e in range(5):
    teacher.train()
    for i in torch.randperm(len(x)).split(64):
        opt.zero_grad()
        cross_entropy(teacher(x[i]), y[i]).backward()
        opt.step()
    print("teacher", e, acc(teacher))

teacher.eval()
with torch.no_grad():
    soft = softmax(teacher(x) / T, 1)
student = mlp(196, 24, 10)
opt = torch.optim.Adam(student.parameters(), lr=2e-3)
for e in range(10):
    student.train()
    tot = 0
    for i in torch.randperm(len(x)).split(64):
        out = student(x[i])
        loss = ALPHA * T * T * kl_div(log_softmax(out / T, 1), soft[i], reduction="batchmean") + (1 - ALPHA) * cross_entropy(out, y[i])
        opt.zero_grad()
        loss.backward()
        opt.step()
        tot += loss.item() * len(i)
    print("student", e, round(tot / len(x), 4), acc(student))
