# Memory allows four pictures at a time: GroupNorm in place of BatchNorm
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(37)
d = np.load("embedded/fashion_mnist_5k_1k.npz")
norm = lambda a: ((torch.from_numpy(a).float() / 255 - 0.286) / 0.353)[:, None]
train = DataLoader(TensorDataset(norm(d["x_train"][:2000]), torch.from_numpy(d["y_train"][:2000]).long()), batch_size=4, shuffle=True)
xv, yv = norm(d["x_test"]), torch.from_numpy(d["y_test"]).long()


def conv(i, o):
    return nn.Sequential(nn.Conv2d(i, o, 3, stride=2, padding=1, bias=False), nn.GroupNorm(4, o), nn.ReLU())


model = nn.Sequential(conv(1, 8), conv(8, 16), conv(16, 32), nn.Flatten(), nn.Linear(32 * 16, 10))
opt = torch.optim.SGD(model.parameters(), lr=0.005, momentum=0.9, weight_decay=5e-4)
EPOCHS = 4
sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=EPOCHS * len(train))
ce = nn.CrossEntropyLoss()
for epoch in range(EPOCHS):
    model.train()
    tot = 0.0
    for x, y in train:
        opt.zero_grad()
        loss = ce(model(x), y)
        loss.backward()
        opt.step()
        sched.step()
        tot += loss.item()
    model.eval()
    with torch.no_grad():
        o = model(xv)
    print(f"epoch {epoch} train {tot / len(train):.4f} val {ce(o, yv).item():.4f} acc {(o.argmax(1) == yv).float().mean().item():.4f}")
