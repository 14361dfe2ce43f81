"""Recognise one of five gestures from a simulated 3-axis accelerometer window."""
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(210)
T, C, K = 40, 3, 5
proto = torch.randn(K, C, 6)
grid = torch.linspace(0, 1, T)
basis = torch.stack([torch.sin(torch.pi * (k + 1) * grid) for k in range(6)])


def simulate(n):
    y = torch.randint(0, K, (n,))
    amp = proto[y] * (1 + 0.3 * torch.randn(n, 1, 1)) + 0.6 * torch.randn(n, C, 6)
    x = amp @ basis + 0.8 * torch.randn(n, C, T)
    return x / 2, y


xtr, ytr = simulate(2048)
xva, yva = simulate(600)
loader = DataLoader(TensorDataset(xtr, ytr), batch_size=2048, shuffle=True)

net = nn.Sequential(nn.Conv1d(C, 16, 5, padding=2), nn.ReLU(), nn.AvgPool1d(4),
                    nn.Conv1d(16, 16, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(160, K))
opt = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9)
ce = nn.CrossEntropyLoss()
for epoch in range(8):
    net.train()
    tot = 0.0
    for xb, yb in loader:
        opt.zero_grad()
        loss = ce(net(xb), yb)
        loss.backward()
        opt.step()
        tot += loss.item() * len(xb)
    net.eval()
    with torch.no_grad():
        out = net(xva)
        print(f"epoch {epoch + 1}: train {tot / 2048:.3f} val {ce(out, yva).item():.3f} "
              f"acc {(out.argmax(1) == yva).float().mean().item():.3f}")
