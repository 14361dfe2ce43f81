# Ten tanh layers without norms or skips, orthogonal weights
import torch
from torch import nn
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

torch.manual_seed(35)
dig = load_digits()
X = (dig.data - dig.data.mean()) / dig.data.std()
Xt, Xv, yt, yv = train_test_split(X, dig.target, test_size=0.25, random_state=35, stratify=dig.target)
Xt, Xv = torch.tensor(Xt).float(), torch.tensor(Xv).float()
yt, yv = torch.tensor(yt), torch.tensor(yv)
layers = [nn.Linear(64, 64), nn.Tanh()]
for _ in range(9):
    layers += [nn.Linear(64, 64), nn.Tanh()]
net = nn.Sequential(*layers, nn.Linear(64, 10))
for mod in net:
    if isinstance(mod, nn.Linear):
        nn.init.orthogonal_(mod.weight, gain=1.0)
        nn.init.zeros_(mod.bias)
opt = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-3)
ce = nn.CrossEntropyLoss()
for epoch in range(12):
    net.train()
    tot = 0.0
    for b in torch.randperm(len(Xt)).split(32):
        opt.zero_grad()
        loss = ce(net(Xt[b]), yt[b])
        loss.backward()
        opt.step()
        tot += loss.item() * len(b)
    net.eval()
    with torch.no_grad():
        o = net(Xv)
    print(f"epoch {epoch} train {tot / len(Xt):.4f} val {ce(o, yv).item():.4f} acc {(o.argmax(1) == yv).float().mean().item():.4f}")
