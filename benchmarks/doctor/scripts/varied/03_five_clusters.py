import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import make_classification
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

torch.manual_seed(3)
X, y = make_classification(n_samples=1600, n_features=24, n_informative=10, n_redundant=4, n_classes=5,
                           n_clusters_per_class=2, class_sep=1.6, flip_y=0.0, random_state=3)
Xtr, Xte, ytr, yte = train_test_split(X, y, test_size=0.25, random_state=0, stratify=y)
sc = StandardScaler().fit(Xtr)
Xtr, Xte = (torch.tensor(sc.transform(a), dtype=torch.float32) for a in (Xtr, Xte))
ytr, yte = torch.tensor(ytr), torch.tensor(yte)


def feature_map(t):
    return F.elu(t) + 2.0


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.l1 = nn.Linear(24, 64)
        self.l2 = nn.Linear(64, 64)
        self.l3 = nn.Linear(64, 64)
        self.head = nn.Linear(64, 5)

    def forward(self, x):
        x = feature_map(self.l1(x))
        x = feature_map(self.l2(x))
        x = feature_map(self.l3(x))
        return self.head(x)


model = Net()
opt = torch.optim.SGD(model.parameters(), lr=0.015, momentum=0.9)
for epoch in range(20):
    model.train()
    idx = torch.randperm(len(Xtr))
    for chunk in idx.split(40):
        opt.zero_grad()
        loss = F.cross_entropy(model(Xtr[chunk]), ytr[chunk])
        loss.backward()
        opt.step()
    model.eval()
    with torch.no_grad():
        out = model(Xte)
        print(epoch, "loss", round(loss.item(), 4), "val loss", round(F.cross_entropy(out, yte).item(), 4),
              "val acc", round((out.argmax(1) == yte).float().mean().item(), 4))
