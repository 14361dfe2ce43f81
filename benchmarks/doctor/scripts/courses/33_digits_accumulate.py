import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedShuffleSplit

torch.manual_seed(111)
bunch = load_digits()
X = torch.tensor(bunch.images, dtype=torch.float32)[:, None] / 16 * 2 - 0.6
y = torch.tensor(bunch.target)
(tr, va), = StratifiedShuffleSplit(1, test_size=0.25, random_state=0).split(X, y)
tr, va = torch.tensor(tr), torch.tensor(va)

net = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.GroupNorm(4, 16), nn.ReLU(), nn.MaxPool2d(2),
                    nn.Conv2d(16, 24, 3), nn.ReLU(), nn.Flatten(), nn.Linear(96, 10))
opt = torch.optim.SGD(net.parameters(), lr=0.04, momentum=0.9, weight_decay=1e-4)
steps_per_update = 4
for epoch in range(8):
    net.train()
    shown = 0.0
    chunks = tr[torch.randperm(len(tr))].split(16)
    opt.zero_grad()
    for k, idx in enumerate(chunks, 1):
        loss = F.cross_entropy(net(X[idx]), y[idx]) / steps_per_update
        loss.backward()
        shown += loss.item() * steps_per_update
        if k % steps_per_update == 0 or k == len(chunks):
            opt.step()
            opt.zero_grad()
    net.eval()
    with torch.no_grad():
        out = net(X[va])
    print(f"epoch {epoch + 1}: train {shown / len(chunks):.4f} val {F.cross_entropy(out, y[va]).item():.4f} "
          f"acc {(out.argmax(1) == y[va]).float().mean().item():.3f}")
