import torch
from torch import nn, optim
from torch.utils.data import DataLoader, TensorDataset
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

torch.manual_seed(2)
bunch = load_digits()
xtr, xva, ytr, yva = train_test_split(bunch.images, bunch.target, test_size=0.5, random_state=9, stratify=bunch.target)
mk = lambda x, y: TensorDataset(torch.tensor(x / 8 - 1, dtype=torch.float32).unsqueeze(1), torch.tensor(y))
train_dl = DataLoader(mk(xtr, ytr), batch_size=8, shuffle=True, drop_last=True)
val_dl = DataLoader(mk(xva, yva), batch_size=200)


def block(i, o):
    return nn.Sequential(nn.Conv2d(i, o, 3, padding=1), nn.GroupNorm(4, o), nn.ReLU())


net = nn.Sequential(block(1, 8), nn.MaxPool2d(2), block(8, 24), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(96, 10))
opt = optim.SGD(net.parameters(), lr=0.02, momentum=0.8)
sched = optim.lr_scheduler.MultiStepLR(opt, milestones=[3], gamma=0.2)
ce = nn.CrossEntropyLoss()

for epoch in range(5):
    net.train()
    seen, hit, tot = 0, 0, 0.0
    for x, y in train_dl:
        out = net(x)
        loss = ce(out, y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        seen += len(y)
        hit += (out.argmax(1) == y).sum().item()
        tot += loss.item() * len(y)
    sched.step()
    net.eval()
    ok = 0
    with torch.no_grad():
        for x, y in val_dl:
            ok += (net(x).argmax(1) == y).sum().item()
    print(f"epoch {epoch} loss {tot / seen:.3f} train acc {hit / seen:.3f} val acc {ok / len(yva):.3f}")
