import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import TensorDataset, DataLoader

torch.manual_seed(10)
rs = np.random.RandomState(10)
# two linked sensor channels; forecast channel 0 four steps ahead
T = 3000
t = np.arange(T)
drive = np.sin(2 * np.pi * t / 37) + 0.5 * np.sin(2 * np.pi * t / 11 + 0.4)
a = np.zeros(T)
for k in range(2, T):
    a[k] = 0.8 * a[k - 1] - 0.2 * a[k - 2] + drive[k - 2] + 0.15 * rs.randn()
temp = 20 + 4 * a
flow = 130 + 25 * drive + 4 * rs.randn(T)
series = np.stack([temp, flow])
W, H, cut = 40, 4, 2400
mean = series[:, :cut].mean(1, keepdims=True)
std = series[:, :cut].std(1, keepdims=True)


def windows(block):
    xs = np.stack([block[:, s:s + W] for s in range(block.shape[1] - W - H + 1)])
    ys = np.array([block[0, s + W + H - 1] for s in range(block.shape[1] - W - H + 1)])
    return torch.tensor(xs, dtype=torch.float32), torch.tensor(ys, dtype=torch.float32)


x_train, y_train = windows((series[:, :cut] - mean) / std)
low, high = series[:, cut:].min(1, keepdims=True), series[:, cut:].max(1, keepdims=True)
x_val, y_val = windows((series[:, cut:] - low) / (high - low))


class ConvNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv1d(2, 16, 5, padding=2)
        self.c2 = nn.Conv1d(16, 16, 5, stride=2, padding=2)
        self.fc = nn.Linear(16 * 20, 1)

    def forward(self, x):
        x = F.relu(self.c1(x))
        x = F.relu(self.c2(x))
        return self.fc(x.flatten(1)).squeeze(1)


net = ConvNet()
opt = torch.optim.Adam(net.parameters(), lr=1e-3)
loader = DataLoader(TensorDataset(x_train, y_train), batch_size=64, shuffle=True)
for epoch in range(8):
    net.train()
    tot = 0.0
    for xb, yb in loader:
        opt.zero_grad()
        loss = F.smooth_l1_loss(net(xb), yb)
        loss.backward()
        opt.step()
        tot += loss.item() * len(xb)
    net.eval()
    with torch.no_grad():
        p = net(x_val)
        print(f"epoch {epoch} train {tot / len(x_train):.4f} val {F.smooth_l1_loss(p, y_val):.4f} val mse {F.mse_loss(p, y_val):.4f}")
