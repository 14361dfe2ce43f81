# A wide net on few rows, stopped by the validation loss, best weights kept
import copy
import torch
from torch import nn
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

torch.manual_seed(7)
X, y = load_breast_cancer(return_X_y=True)
Xtr, Xte, ytr, yte = train_test_split(X, y, test_size=0.25, random_state=7, stratify=y)
Xtr, Xva, ytr, yva = train_test_split(Xtr, ytr, test_size=0.25, random_state=7, stratify=ytr)
sc = StandardScaler().fit(Xtr)
t = lambda a: torch.tensor(sc.transform(a), dtype=torch.float32)
Xtr, Xva, Xte = t(Xtr), t(Xva), t(Xte)
ytr, yva, yte = (torch.tensor(v, dtype=torch.float32) for v in (ytr, yva, yte))

model = nn.Sequential(nn.Linear(30, 512), nn.ReLU(), nn.Dropout(0.3), nn.Linear(512, 1))
opt = torch.optim.Adam(model.parameters(), lr=5e-4, weight_decay=1e-3)
bce = nn.BCEWithLogitsLoss()
best, best_state, patience, bad = float("inf"), None, 6, 0
for epoch in range(60):
    model.train()
    for b in torch.randperm(len(Xtr)).split(32):
        opt.zero_grad()
        loss = bce(model(Xtr[b]).flatten(), ytr[b])
        loss.backward()
        opt.step()
    model.eval()
    with torch.no_grad():
        vl = bce(model(Xva).flatten(), yva).item()
    print(f"epoch {epoch} train {loss.item():.4f} val {vl:.4f}")
    if vl < best - 1e-4:
        best, best_state, bad = vl, copy.deepcopy(model.state_dict()), 0
    else:
        bad += 1
        if bad >= patience:
            print("stopping early")
            break
model.load_state_dict(best_state)
model.eval()
with torch.no_grad():
    print("best val loss", round(best, 4), "test acc", ((model(Xte).flatten() > 0) == (yte > 0)).float().mean().item())
