"""Fashion CNN trained with micro-batches; each gradient is averaged over four of them."""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

ACCUM, MICRO, EPOCHS = 4, 16, 4


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.gn1 = nn.GroupNorm(4, 16)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.gn2 = nn.GroupNorm(8, 32)
        self.fc = nn.Linear(32 * 9, 10)

    def forward(self, x):
        x = F.max_pool2d(F.silu(self.gn1(self.conv1(x))), 2)
        x = F.max_pool2d(F.silu(self.gn2(self.conv2(x))), 2)
        return self.fc(x.flatten(1))


torch.manual_seed(55)
d = np.load("embedded/fashion_mnist_5k_1k.npz")
prep = lambda a: (F.avg_pool2d(torch.from_numpy(a).float()[:, None] / 255, 2) - 0.286) / 0.33
train = DataLoader(TensorDataset(prep(d["x_train"]), torch.from_numpy(d["y_train"]).long()), MICRO, shuffle=True, drop_last=True)
xv, yv = prep(d["x_test"]), torch.from_numpy(d["y_test"]).long()
net = Net()
opt = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=0.01)
for epoch in range(EPOCHS):
    net.train()
    total = 0.0
    for i, (x, y) in enumerate(train):
        loss = F.cross_entropy(net(x), y) / ACCUM
        loss.backward()
        total += loss.item() * ACCUM
        if (i + 1) % ACCUM == 0:
            opt.step()
            opt.zero_grad()
    net.eval()
    with torch.no_grad():
        out = net(xv)
    print(f"{epoch}: train {total / len(train):.3f} val {F.cross_entropy(out, yv).item():.3f} acc {(out.argmax(1) == yv).float().mean().item():.3f}")
