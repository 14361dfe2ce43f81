# Full-batch LBFGS on a small smooth problem
import torch
from torch import nn

torch.manual_seed(38)
x = torch.rand(400, 2) * 4 - 2
y = torch.sin(1.5 * x[:, :1]) * torch.cos(x[:, 1:]) + 0.05 * torch.randn(400, 1)
xt, yt, xv, yv = x[:300], y[:300], x[300:], y[300:]
net = nn.Sequential(nn.Linear(2, 20), nn.Tanh(), nn.Linear(20, 1))
opt = torch.optim.LBFGS(net.parameters(), lr=1.0, max_iter=10, history_size=20, line_search_fn="strong_wolfe")
mse = nn.MSELoss()


def closure():
    opt.zero_grad()
    loss = mse(net(xt), yt) + 1e-5 * sum(p.pow(2).sum() for p in net.parameters())
    loss.backward()
    return loss


for epoch in range(25):
    net.train()
    loss = opt.step(closure)
    net.eval()
    with torch.no_grad():
        print(f"epoch {epoch} train {loss.item():.5f} val {mse(net(xv), yv).item():.5f}")
