import numpy as np
import torch
from torch import nn
from sklearn.datasets import load_diabetes
from sklearn.model_selection import KFold

X, y = load_diabetes(return_X_y=True)
scores = []
for fold, (tr, va) in enumerate(KFold(5, shuffle=True, random_state=36).split(X)):
    torch.manual_seed(36 + fold)
    mx, sx, my, sy = X[tr].mean(0), X[tr].std(0), y[tr].mean(), y[tr].std()
    xt = torch.tensor((X[tr] - mx) / sx, dtype=torch.float32)
    xv = torch.tensor((X[va] - mx) / sx, dtype=torch.float32)
    yt = torch.tensor((y[tr] - my) / sy, dtype=torch.float32).unsqueeze(1)
    yv = torch.tensor((y[va] - my) / sy, dtype=torch.float32).unsqueeze(1)
    net = nn.Sequential(nn.Linear(10, 16), nn.Tanh(), nn.Linear(16, 1))
    opt = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, weight_decay=0.01)
    huber = nn.SmoothL1Loss()
    for epoch in range(25):
        net.train()
        for b in torch.randperm(len(xt)).split(32):
            opt.zero_grad()
            loss = huber(net(xt[b]), yt[b])
            loss.backward()
            opt.step()
        net.eval()
        with torch.no_grad():
            vp = net(xv)
        if epoch % 8 == 0:
            print(f"fold {fold} epoch {epoch} loss {loss.item():.4f} val loss {huber(vp, yv).item():.4f}")
    r2 = 1 - ((vp - yv) ** 2).mean() / yv.var()
    scores.append(r2.item())
    print(f"fold {fold} R2 {r2.item():.3f}")
print(f"cross-validated R2 {np.mean(scores):.3f} +- {np.std(scores):.3f}")
