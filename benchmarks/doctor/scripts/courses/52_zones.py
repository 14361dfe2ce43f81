"""Which of four zones does a moving point end in? Position and velocity in the plane."""
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(36)
n = 2500
pos, vel = torch.randn(n, 2), torch.randn(n, 2)
end = pos + 0.7 * vel
radius = end.norm(dim=1)
zone = (radius > 0.9).long() + 2 * (end[:, 0] * end[:, 1] > 0).long()
x = torch.cat([pos, vel], 1)
loader = DataLoader(TensorDataset(x[:2000], zone[:2000]), batch_size=40, shuffle=True)
xv, yv = x[2000:], zone[2000:]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(4, 64)
        self.b = nn.Linear(64, 64)
        self.drop = nn.Dropout(0.05)
        self.c = nn.Linear(64, 4)

    def forward(self, x):
        x = self.a(x)
        x = self.drop(self.b(x))
        return self.c(x)


net = Net()
opt = torch.optim.NAdam(net.parameters(), lr=3e-3)
ce = nn.CrossEntropyLoss()
for epoch in range(15):
    net.train()
    s = 0.0
    for xb, yb in loader:
        opt.zero_grad()
        loss = ce(net(xb), yb)
        loss.backward()
        opt.step()
        s += loss.item()
    net.eval()
    with torch.no_grad():
        out = net(xv)
    print(f"{epoch + 1:>2}/15  loss {s / len(loader):.4f}  val loss {ce(out, yv):.4f}  val acc {(out.argmax(1) == yv).float().mean():.3f}")
