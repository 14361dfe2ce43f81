# iris with cross-validation, early stopping on each fold
import copy
import numpy as np
import torch
from torch import nn
from sklearn.datasets import load_iris
from sklearn.model_selection import StratifiedKFold

X, y = load_iris(return_X_y=True)
scores = []
for fold, (tr, va) in enumerate(StratifiedKFold(3, shuffle=True, random_state=0).split(X, y)):
    torch.manual_seed(fold)
    mean, std = X[tr].mean(axis=0), X[tr].std(axis=0)
    Xt = torch.tensor((X[tr] - mean) / std).float()
    Xv = torch.tensor((X[va] - mean) / std).float()
    yt, yv = torch.tensor(y[tr]), torch.tensor(y[va])
    clf = nn.Sequential(nn.Linear(4, 10), nn.ReLU(), nn.Linear(10, 3))
    opt = torch.optim.Adam(clf.parameters(), lr=0.01)
    loss_fn = nn.CrossEntropyLoss()
    best, best_state, patience = 1e9, None, 0
    for epoch in range(40):
        clf.train()
        for idx in torch.randperm(len(Xt)).split(10):
            opt.zero_grad()
            loss = loss_fn(clf(Xt[idx]), yt[idx])
            loss.backward()
            opt.step()
        clf.eval()
        with torch.no_grad():
            v = loss_fn(clf(Xv), yv).item()
        if epoch % 5 == 0:
            print(f'fold {fold} epoch {epoch} val {v:.4f}')
        if v < best - 1e-4:
            best, best_state, patience = v, copy.deepcopy(clf.state_dict()), 0
        else:
            patience += 1
            if patience == 6:
                break
    clf.load_state_dict(best_state)
    with torch.no_grad():
        scores.append((clf(Xv).argmax(1) == yv).float().mean().item())
    print(f'fold {fold}: best val loss {best:.4f} accuracy {scores[-1]:.3f}')
print('mean accuracy', np.mean(scores))
