import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.optim.lr_scheduler import OneCycleLR
from torch.utils.data import DataLoader, TensorDataset


class Bottleneck(nn.Module):
    def __init__(self, c, stride=1):
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(c, c // 2, 1, bias=False), nn.BatchNorm2d(c // 2), nn.ReLU(),
            nn.Conv2d(c // 2, c // 2, 3, stride, 1, bias=False), nn.BatchNorm2d(c // 2), nn.ReLU(),
            nn.Conv2d(c // 2, c, 1, bias=False), nn.BatchNorm2d(c))
        self.short = nn.AvgPool2d(2) if stride == 2 else nn.Identity()

    def forward(self, x):
        return F.relu(self.conv(x) + self.short(x))


def main():
    torch.manual_seed(12)
    z = np.load("embedded/mnist_5k_1k.npz")
    f = lambda k: (F.avg_pool2d(torch.tensor(z[k]).float().div(255).unsqueeze(1), 2) - 0.13) / 0.27
    train = DataLoader(TensorDataset(f("x_train"), torch.tensor(z["y_train"]).long()), 64, shuffle=True)
    x_val, y_val = f("x_test"), torch.tensor(z["y_test"]).long()
    model = nn.Sequential(nn.Conv2d(1, 24, 3, padding=1, bias=False), nn.BatchNorm2d(24), nn.ReLU(), nn.MaxPool2d(2),
                          Bottleneck(24), Bottleneck(24), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(96, 10))
    epochs = 4
    opt = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9, weight_decay=5e-4, nesterov=True)
    sched = OneCycleLR(opt, max_lr=0.05, epochs=epochs, steps_per_epoch=len(train), pct_start=0.3)
    for epoch in range(epochs):
        model.train()
        for x, y in train:
            loss = F.cross_entropy(model(x), y, label_smoothing=0.05)
            opt.zero_grad()
            loss.backward()
            opt.step()
            sched.step()
        model.eval()
        with torch.no_grad():
            o = model(x_val)
        print(f"epoch {epoch} lr {sched.get_last_lr()[0]:.5f} val loss {F.cross_entropy(o, y_val):.3f} "
              f"acc {(o.argmax(1) == y_val).float().mean():.3f}")


main()
