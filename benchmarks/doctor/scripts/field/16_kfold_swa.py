import numpy as np
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, SWALR, update_bn
from torch.utils.data import DataLoader, TensorDataset
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedKFold

torch.manual_seed(0)
X, y = load_digits(return_X_y=True)
X = ((X / 16.0 - 0.3) / 0.38).astype(np.float32)

EPOCHS, SWA_START = 11, 8


def make_model():
    return nn.Sequential(
        nn.Linear(64, 96), nn.BatchNorm1d(96), nn.ReLU(),
        nn.Linear(96, 48), nn.BatchNorm1d(48), nn.ReLU(),
        nn.Linear(48, 10),
    )


def accuracy(model, xv, yv):
    model.eval()
    with torch.no_grad():
        return (model(xv).argmax(1) == yv).float().mean().item()


def run_fold(k, tr, va):
    xt, yt = torch.from_numpy(X[tr]), torch.from_numpy(y[tr])
    xv, yv = torch.from_numpy(X[va]), torch.from_numpy(y[va])
    loader = DataLoader(TensorDataset(xt, yt), batch_size=32, shuffle=True, drop_last=True)
    model = make_model()
    swa_model = AveragedModel(model)
    opt = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=SWA_START)
    swa_sched = SWALR(opt, swa_lr=0.02, anneal_epochs=2)
    loss_fn = nn.CrossEntropyLoss()

    for epoch in range(EPOCHS):
        model.train()
        total = 0.0
        for xb, yb in loader:
            opt.zero_grad()
            loss = loss_fn(model(xb), yb)
            loss.backward()
            opt.step()
            total += loss.item()
        if epoch >= SWA_START:
            swa_model.update_parameters(model)
            swa_sched.step()
        else:
            cosine.step()
    update_bn(loader, swa_model)
    plain, averaged = accuracy(model, xv, yv), accuracy(swa_model, xv, yv)
    print(f"fold {k}: loss {total / len(loader):.4f}  plain {plain:.4f}  swa {averaged:.4f}")
    return averaged


folds = StratifiedKFold(n_splits=5, shuffle=True, random_state=0)
scores = [run_fold(k, tr, va) for k, (tr, va) in enumerate(folds.split(X, y))]
print(f"cross-validated accuracy {np.mean(scores):.4f} +/- {np.std(scores):.4f}")
