"""Fraud detection, 4% positives, weighted loss, ranked by AUC."""
import torch
import torch.nn as nn
from sklearn.datasets import make_classification
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import train_test_split
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(104)
X, y = make_classification(n_samples=5000, n_features=18, n_informative=7, n_redundant=3, weights=[0.96],
                           class_sep=1.1, flip_y=0.005, random_state=104)
Xtr, Xva, ytr, yva = train_test_split(X.astype("float32"), y.astype("float32"), test_size=0.3, stratify=y, random_state=4)
mu, sd = Xtr.mean(0), Xtr.std(0)
Xtr, Xva = torch.tensor((Xtr - mu) / sd), torch.tensor((Xva - mu) / sd)
ytr, yva = torch.tensor(ytr), torch.tensor(yva)
pos_weight = ((ytr == 0).sum() / (ytr == 1).sum()).sqrt()

model = nn.Sequential(nn.Linear(18, 32), nn.LeakyReLU(0.1), nn.Dropout(0.1), nn.Linear(32, 16), nn.LeakyReLU(0.1), nn.Linear(16, 1))
crit = nn.BCEWithLogitsLoss(pos_weight=pos_weight)
opt = torch.optim.AdamW(model.parameters(), lr=1.5e-3, weight_decay=0.02)
dl = DataLoader(TensorDataset(Xtr, ytr), batch_size=64, shuffle=True)
for epoch in range(9):
    model.train()
    tot = 0.0
    for xb, yb in dl:
        opt.zero_grad(set_to_none=True)
        loss = crit(model(xb).squeeze(-1), yb)
        loss.backward()
        opt.step()
        tot += loss.item()
    model.eval()
    with torch.no_grad():
        z = model(Xva).squeeze(-1)
        p = torch.sigmoid(z).numpy()
    print(f"epoch {epoch} train {tot / len(dl):.3f} val {crit(z, yva).item():.3f} "
          f"auc {roc_auc_score(yva, p):.3f} ap {average_precision_score(yva, p):.3f} flagged {(p > 0.5).mean():.3f}")
