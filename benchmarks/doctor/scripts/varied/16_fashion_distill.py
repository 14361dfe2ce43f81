import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(16)
f = np.load("embedded/fashion_mnist_5k_1k.npz")
norm = lambda a: (torch.tensor(a).float().flatten(1) / 255 - 0.286) / 0.353
xtr, xte = norm(f["x_train"]), norm(f["x_test"])
ytr, yte = torch.tensor(f["y_train"]).long(), torch.tensor(f["y_test"]).long()


def accuracy(net):
    net.eval()
    with torch.no_grad():
        return (net(xte).argmax(1) == yte).float().mean().item()


def epoch_of(net, opt, loss_fn, bs=100):
    net.train()
    for b in torch.randperm(len(xtr)).split(bs):
        loss = loss_fn(net(xtr[b]), b)
        opt.zero_grad()
        loss.backward()
        opt.step()
    return loss.item()


teacher = nn.Sequential(nn.Linear(784, 200), nn.ReLU(), nn.Dropout(0.3), nn.Linear(200, 100), nn.ReLU(), nn.Linear(100, 10))
opt = torch.optim.Adam(teacher.parameters(), lr=1e-3)
for e in range(7):
    l = epoch_of(teacher, opt, lambda o, b: F.cross_entropy(o, ytr[b]))
    print(f"teacher {e}: loss {l:.3f} test acc {accuracy(teacher):.3f}")

teacher.eval()
for p in teacher.parameters():
    p.requires_grad_(False)
with torch.no_grad():
    soft = teacher(xtr)
T, alpha = 3.0, 0.7


def kd(o, b):
    hard = F.cross_entropy(o, ytr[b])
    kl = F.kl_div(F.log_softmax(o / T, 1), F.softmax(soft[b] / T, 1), reduction="batchmean") * T * T
    return alpha * kl + (1 - alpha) * hard


student = nn.Sequential(nn.Linear(784, 32), nn.ReLU(), nn.Linear(32, 10))
opt = torch.optim.Adam(student.parameters(), lr=1.5e-3)
for e in range(10):
    l = epoch_of(student, opt, kd)
    print(f"student {e}: loss {l:.3f} test acc {accuracy(student):.3f}")
