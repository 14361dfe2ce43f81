import torch
from torch import nn
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset, random_split

torch.manual_seed(102)
X, y = load_digits(return_X_y=True)
ds = TensorDataset(torch.tensor(X / 8 - 0.6, dtype=torch.float32), torch.tensor(y))
tr, va = random_split(ds, [1400, len(ds) - 1400])
tl, vl = DataLoader(tr, batch_size=8, shuffle=True), DataLoader(va, batch_size=64)
net = nn.Sequential(nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 10))
opt = torch.optim.SGD(net.parameters(), lr=0.03, momentum=0.5)
sch = torch.optim.lr_scheduler.StepLR(opt, step_size=4, gamma=0.4)
loss_fn = nn.CrossEntropyLoss()
for ep in range(10):
    net.train()
    s = 0.0
    for x, t in tl:
        opt.zero_grad()
        l = loss_fn(net(x), t)
        l.backward()
        opt.step()
        s += l.item() * len(t)
    sch.step()
    net.eval()
    c = 0
    with torch.no_grad():
        for x, t in vl:
            c += (net(x).argmax(1) == t).sum().item()
    print(f"ep {ep} loss {s / len(tr):.3f} acc {c / len(va):.3f} lr {opt.param_groups[0]['lr']:.4f}")
