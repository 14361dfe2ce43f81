import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(105)
d = np.load("embedded/fashion_mnist_5k_1k.npz")
to = lambda a: F.avg_pool2d(torch.tensor(a).float().unsqueeze(1).div(255).sub(0.286).div(0.353), 2)
train = TensorDataset(to(d["x_train"]), torch.tensor(d["y_train"]).long())
xv, yv = to(d["x_test"]), torch.tensor(d["y_test"]).long()
loader = DataLoader(train, batch_size=100, shuffle=True, drop_last=True)


def block(i, o):
    return nn.Sequential(nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(), nn.MaxPool2d(2))


net = nn.Sequential(block(1, 12), block(12, 24), nn.Flatten(), nn.Dropout(0.2), nn.Linear(24 * 9, 10))
decay = [p for p in net.parameters() if p.ndim > 1]
plain = [p for p in net.parameters() if p.ndim <= 1]
EPOCHS = 6
opt = torch.optim.AdamW([{"params": decay, "weight_decay": 0.05}, {"params": plain, "weight_decay": 0.0}], lr=4e-3)
sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=EPOCHS * len(loader))
crit = nn.CrossEntropyLoss(label_smoothing=0.1)
for epoch in range(EPOCHS):
    net.train()
    run = 0.0
    for xb, yb in loader:
        flip = torch.rand(len(xb)) < 0.5
        xb = torch.where(flip[:, None, None, None], xb.flip(-1), xb)
        loss = crit(net(xb), yb)
        opt.zero_grad()
        loss.backward()
        opt.step()
        sched.step()
        run += loss.item()
    net.eval()
    with torch.no_grad():
        o = net(xv)
        print(f"epoch {epoch} train {run / len(loader):.3f} val {crit(o, yv).item():.3f} acc {(o.argmax(1) == yv).float().mean().item():.3f}")
