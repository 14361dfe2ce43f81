# Mini-batches of four rows, plain SGD
import torch
from torch import nn
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

torch.manual_seed(1)
X, y = load_wine(return_X_y=True)
Xtr, Xva, ytr, yva = train_test_split(X, y, test_size=0.3, stratify=y, random_state=1)
s = StandardScaler().fit(Xtr)
Xtr, Xva = torch.tensor(s.transform(Xtr)).float(), torch.tensor(s.transform(Xva)).float()
ytr, yva = torch.tensor(ytr), torch.tensor(yva)
model = nn.Sequential(nn.Linear(13, 16), nn.Tanh(), nn.Linear(16, 3))
opt = torch.optim.SGD(model.parameters(), lr=0.05, weight_decay=1e-3)
lossf = nn.CrossEntropyLoss()
for epoch in range(20):
    model.train()
    perm = torch.randperm(len(Xtr))
    total = 0.0
    for i in range(0, len(perm), 4):
        b = perm[i:i + 4]
        opt.zero_grad()
        loss = lossf(model(Xtr[b]), ytr[b])
        loss.backward()
        opt.step()
        total += loss.item() * len(b)
    model.eval()
    with torch.no_grad():
        out = model(Xva)
    print(f"epoch {epoch + 1} train loss {total / len(Xtr):.4f} val loss {lossf(out, yva):.4f} val acc {(out.argmax(1) == yva).float().mean():.3f}")
