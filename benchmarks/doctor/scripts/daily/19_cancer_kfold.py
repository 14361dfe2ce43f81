import numpy as np
import torch
from torch import nn
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler

torch.manual_seed(31)
X, y = load_breast_cancer(return_X_y=True)
scores = []
for fold, (tr, va) in enumerate(StratifiedKFold(5, shuffle=True, random_state=31).split(X, y)):
    sc = StandardScaler().fit(X[tr])
    xt, xv = (torch.tensor(sc.transform(X[i]), dtype=torch.float32) for i in (tr, va))
    yt, yv = (torch.tensor(y[i], dtype=torch.float32).unsqueeze(1) for i in (tr, va))
    model = nn.Sequential(nn.Linear(30, 16), nn.ReLU(), nn.Linear(16, 1))
    opt = torch.optim.Adam(model.parameters(), lr=3e-3, weight_decay=1e-3)
    crit = nn.BCEWithLogitsLoss()
    for epoch in range(15):
        model.train()
        tot = 0.0
        for b in torch.randperm(len(xt)).split(32):
            loss = crit(model(xt[b]), yt[b])
            opt.zero_grad()
            loss.backward()
            opt.step()
            tot += loss.item() * len(b)
        model.eval()
        with torch.no_grad():
            z = model(xv)
        acc = ((z > 0).float() == yv).float().mean().item()
        print(f"fold {fold} epoch {epoch} train {tot / len(xt):.4f} val {crit(z, yv).item():.4f} acc {acc:.4f}")
    scores.append(acc)
print(f"mean acc {np.mean(scores):.4f} +- {np.std(scores):.4f}")
