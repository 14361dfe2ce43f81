import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import make_classification
from sklearn.metrics import roc_auc_score, f1_score
from torch.utils.data import DataLoader, TensorDataset, random_split


class FocalLoss(nn.Module):
    def __init__(self, gamma=2.0, alpha=0.75):
        super().__init__()
        self.gamma, self.alpha = gamma, alpha

    def forward(self, logits, target):
        ce = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
        pt = torch.exp(-ce)
        a = torch.where(target == 1, self.alpha, 1 - self.alpha)
        return (a * (1 - pt) ** self.gamma * ce).mean()


torch.manual_seed(14)
X, y = make_classification(6000, 12, n_informative=6, weights=[0.9], class_sep=1.0, random_state=14, flip_y=0.01)
X = torch.tensor((X - X.mean(0)) / X.std(0)).float()
ds = TensorDataset(X, torch.tensor(y).float())
tr, va = random_split(ds, [4800, 1200])
tr_dl, va_dl = DataLoader(tr, 64, shuffle=True), DataLoader(va, 400)
model = nn.Sequential(nn.Linear(12, 64), nn.ReLU(), nn.Linear(64, 1))
opt = torch.optim.Adam(model.parameters(), lr=5e-3)
sched = torch.optim.lr_scheduler.MultiStepLR(opt, milestones=[8, 12], gamma=0.3)
crit = FocalLoss()
for epoch in range(14):
    model.train()
    tot = 0
    for xb, yb in tr_dl:
        opt.zero_grad()
        loss = crit(model(xb).squeeze(1), yb)
        loss.backward()
        opt.step()
        tot += loss.item()
    sched.step()
    model.eval()
    s, t = [], []
    with torch.no_grad():
        for xb, yb in va_dl:
            s.append(model(xb).squeeze(1)); t.append(yb)
    s, t = torch.cat(s), torch.cat(t)
    print(f"epoch {epoch} focal {tot / len(tr_dl):.5f} val focal {crit(s, t):.5f} auc {roc_auc_score(t, s):.4f} f1 {f1_score(t, s > 0):.3f}")
