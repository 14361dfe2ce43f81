import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import make_classification
from sklearn.model_selection import train_test_split

torch.manual_seed(10)


class ResBlock(nn.Module):
    def __init__(self, d, p):
        super().__init__()
        self.bn = nn.BatchNorm1d(d)
        self.lin = nn.Linear(d, d)
        self.drop = nn.Dropout(p)

    def forward(self, x):
        return x + self.drop(F.relu(self.lin(self.bn(x))))


class TabResNet(nn.Module):
    def __init__(self, n_in, n_out, d=48, blocks=2, p=0.1):
        super().__init__()
        self.stem = nn.Linear(n_in, d)
        self.blocks = nn.ModuleList([ResBlock(d, p) for _ in range(blocks)])
        self.bn = nn.BatchNorm1d(d)
        self.head = nn.Linear(d, n_out)

    def forward(self, x):
        x = self.stem(x)
        for b in self.blocks:
            x = b(x)
        return self.head(F.relu(self.bn(x)))


def evaluate(model, x, y):
    model.eval()
    with torch.no_grad():
        out = model(x)
    return F.cross_entropy(out, y).item(), (out.argmax(1) == y).float().mean().item()


X, y = make_classification(1200, n_features=24, n_informative=10, n_classes=5, class_sep=1.6, n_clusters_per_class=1,
                           random_state=10)
X_tr, X_va, y_tr, y_va = train_test_split(X, y, test_size=0.25, random_state=0)
mu, sd = X_tr.mean(0), X_tr.std(0)
X_tr = torch.tensor((X_tr - mu) / sd, dtype=torch.float32)
X_va = torch.tensor((X_va - mu) / sd, dtype=torch.float32)
y_tr, y_va = torch.tensor(y_tr), torch.tensor(y_va)

model = TabResNet(24, 5)
opt = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-2)
bs = 2
for epoch in range(3):
    model.train()
    perm = torch.randperm(len(X_tr))
    s = 0.0
    for i in range(0, len(perm), bs):
        idx = perm[i:i + bs]
        loss = F.cross_entropy(model(X_tr[idx]), y_tr[idx])
        opt.zero_grad()
        loss.backward()
        opt.step()
        s += loss.item() * len(idx)
    vl, va = evaluate(model, X_va, y_va)
    print(f'epoch {epoch} | train loss {s / len(perm):.4f} | val loss {vl:.4f} | val acc {va:.4f}')
