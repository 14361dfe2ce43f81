import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.utils.parametrizations import spectral_norm, weight_norm
from sklearn.datasets import load_digits

torch.manual_seed(31)
x, y = load_digits(return_X_y=True)
x = torch.tensor(x, dtype=torch.float32)
x, y = (x - x.mean()) / x.std(), torch.tensor(y)
p = torch.randperm(len(x))
tr, va = p[:1350], p[1350:]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = weight_norm(nn.Linear(64, 64))
        self.b = nn.Linear(64, 64)
        self.c = spectral_norm(nn.Linear(64, 10))
        self.temp = nn.Parameter(torch.tensor(2.0))
        nn.init.orthogonal_(self.b.weight)

    def forward(self, x):
        h = F.relu(self.a(x))
        h = F.relu(self.b(h))
        return self.c(h) * self.temp.exp().clamp(max=20)


net = Net()
opt = torch.optim.SGD(net.parameters(), lr=0.03, momentum=0.9, nesterov=True)
eye = torch.eye(64)
for epoch in range(18):
    net.train()
    for b in tr[torch.randperm(len(tr))].split(45):
        ce = F.cross_entropy(net(x[b]), y[b], label_smoothing=0.05)
        gram = net.b.weight @ net.b.weight.T - eye
        loss = ce + 1e-3 * gram.pow(2).sum()
        opt.zero_grad()
        loss.backward()
        opt.step()
    net.eval()
    with torch.no_grad():
        o = net(x[va])
    print(f"epoch {epoch} ce {ce.item():.4f} ortho {gram.pow(2).sum().item():.4f} val ce {F.cross_entropy(o, y[va]).item():.4f} acc {(o.argmax(1) == y[va]).float().mean().item():.4f}")
