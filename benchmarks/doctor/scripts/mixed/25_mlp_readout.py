import torch
import torch.nn as nn
from sklearn.datasets import make_classification
from torch.utils.data import DataLoader, TensorDataset, random_split


class Plain(nn.Module):
    """An MLP of `depth` hidden layers without skips."""

    def __init__(self, n_in, width=40, depth=6, n_out=4):
        super().__init__()
        dims = [n_in] + [width] * depth
        self.hidden = [nn.Linear(a, b) for a, b in zip(dims, dims[1:])]
        self.readout = nn.Linear(width, n_out)
        self.reset()

    def reset(self):
        for lin in self.hidden:
            nn.init.kaiming_normal_(lin.weight, nonlinearity="relu")
            nn.init.zeros_(lin.bias)

    def forward(self, x):
        for lin in self.hidden:
            x = torch.relu(lin(x))
        return self.readout(x)


@torch.no_grad()
def score(net, loader):
    net.eval()
    loss = n = ok = 0
    for x, y in loader:
        z = net(x)
        loss += nn.functional.cross_entropy(z, y, reduction="sum").item()
        ok += (z.argmax(1) == y).sum().item()
        n += len(y)
    return loss / n, ok / n


torch.manual_seed(31)
X, y = make_classification(4000, n_features=20, n_informative=12, n_redundant=4, n_classes=4, class_sep=1.8,
                           n_clusters_per_class=2, random_state=31)
X = torch.tensor(X, dtype=torch.float32)
X = (X - X[:3000].mean(0)) / X[:3000].std(0)
ds = TensorDataset(X, torch.tensor(y))
train_set, val_set = random_split(ds, [3000, 1000])
train_loader = DataLoader(train_set, batch_size=50, shuffle=True)
val_loader = DataLoader(val_set, batch_size=500)

net = Plain(20)
opt = torch.optim.Adam(net.parameters(), lr=1e-3)
for epoch in range(8):
    net.train()
    for x, y in train_loader:
        loss = nn.functional.cross_entropy(net(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
    tl, ta = score(net, train_loader)
    vl, va = score(net, val_loader)
    print(f"{epoch}  train {tl:.3f} ({ta:.1%})  val {vl:.3f} ({va:.1%})")
