# Fashion items with a small depthwise-separable network
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(3)
d = np.load("embedded/fashion_mnist_5k_1k.npz")
to_t = lambda a: nn.functional.avg_pool2d((torch.tensor(a, dtype=torch.float32)[:, None] / 255 - 0.286) / 0.353, 2)
train_ds = TensorDataset(to_t(d["x_train"]), torch.tensor(d["y_train"], dtype=torch.long))
val_ds = TensorDataset(to_t(d["x_test"]), torch.tensor(d["y_test"], dtype=torch.long))


def dw(cin, cout, stride=1):
    return nn.Sequential(
        nn.Conv2d(cin, cin, 3, stride=stride, padding=1, groups=cin, bias=False),
        nn.BatchNorm2d(cin),
        nn.ReLU(inplace=True),
        nn.Conv2d(cin, cout, 1, bias=False),
        nn.BatchNorm2d(cout),
        nn.ReLU(inplace=True),
    )


class MobileTiny(nn.Module):
    def __init__(self, n_classes=10, p=0.5):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(inplace=True))
        self.blocks = nn.Sequential(dw(16, 32, 2), dw(32, 48), dw(48, 64, 2))
        self.drop = nn.Dropout(p)
        self.head = nn.Linear(64, n_classes)

    def forward(self, x):
        x = self.blocks(self.stem(x)).mean(dim=(2, 3))
        return self.head(self.drop(x))


train_dl = DataLoader(train_ds, batch_size=64, shuffle=True, drop_last=True)
val_dl = DataLoader(val_ds, batch_size=50)
net = MobileTiny()
epochs = 4
opt = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=1e-2)
sched = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=8e-3, total_steps=epochs * len(train_dl))
loss_fn = nn.CrossEntropyLoss()

for ep in range(epochs):
    net.train()
    tr = 0.0
    for xb, yb in train_dl:
        loss = loss_fn(net(xb), yb)
        opt.zero_grad(set_to_none=True)
        loss.backward()
        opt.step()
        sched.step()
        tr += loss.item()
    hits, vl = 0, 0.0
    with torch.inference_mode():
        for xb, yb in val_dl:
            out = net(xb)
            vl += loss_fn(out, yb).item()
            hits += (out.argmax(-1) == yb).sum().item()
    print("ep", ep, "train", round(tr / len(train_dl), 3), "val", round(vl / len(val_dl), 3), "acc", hits / len(val_ds))
