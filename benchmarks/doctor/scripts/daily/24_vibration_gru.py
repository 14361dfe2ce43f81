import math
import torch
from torch import nn

torch.manual_seed(19)
# three kinds of machine vibration
N, T = 1800, 40
kind = torch.randint(3, (N,))
t = torch.arange(T).float()
phase = torch.rand(N, 1) * 2 * math.pi
freq = torch.tensor([0.10, 0.14, 0.19])[kind][:, None] * (1 + 0.05 * torch.randn(N, 1))
wave = torch.sin(2 * math.pi * freq * t + phase) + 0.4 * torch.randn(N, T)
x = wave.unsqueeze(-1)
xtr, ytr, xva, yva = x[:1400], kind[:1400], x[1400:], kind[1400:]


class VibrationNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(1, 32, batch_first=True)
        self.fc = nn.Sequential(nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 3))

    def forward(self, x):
        _, h = self.rnn(x)
        h = h[-1].detach()
        return self.fc(h)


model = VibrationNet()
opt = torch.optim.Adam(model.parameters(), lr=5e-3)
criterion = nn.CrossEntropyLoss()
for epoch in range(12):
    model.train()
    total = 0.0
    for b in torch.randperm(1400).split(50):
        opt.zero_grad()
        loss = criterion(model(xtr[b]), ytr[b])
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        opt.step()
        total += loss.item() * len(b)
    model.eval()
    with torch.no_grad():
        acc = (model(xva).argmax(-1) == yva).float().mean().item()
    print(f"epoch {epoch:2d} train loss {total / 1400:.4f} val acc {acc:.3f}")
