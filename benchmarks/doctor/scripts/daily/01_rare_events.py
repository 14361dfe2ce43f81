# 2 % positives, scored by average precision and recall at 5 %
import numpy as np
import torch
from torch import nn
from sklearn.datasets import make_classification
from sklearn.metrics import average_precision_score, recall_score
from sklearn.model_selection import train_test_split

torch.manual_seed(3)
X, y = make_classification(n_samples=12000, n_features=16, n_informative=8, n_redundant=2, weights=[0.98],
                           class_sep=1.6, flip_y=0.002, random_state=3)
X = ((X - X.mean(0)) / X.std(0)).astype(np.float32)
Xtr, Xva, ytr, yva = train_test_split(X, y, test_size=0.25, stratify=y, random_state=3)
Xtr, Xva = torch.from_numpy(Xtr), torch.from_numpy(Xva)
ytr_t = torch.from_numpy(ytr).float()
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 1))
nn.init.constant_(model[-1].bias, float(np.log(0.02 / 0.98)))
criterion = nn.BCEWithLogitsLoss(pos_weight=torch.tensor(5.0))
optimizer = torch.optim.Adam(model.parameters(), lr=6e-3, weight_decay=1e-5)

for epoch in range(10):
    model.train()
    tot = 0.0
    for b in torch.randperm(len(Xtr)).split(128):
        optimizer.zero_grad()
        loss = criterion(model(Xtr[b]).squeeze(1), ytr_t[b])
        loss.backward()
        optimizer.step()
        tot += loss.item() * len(b)
    model.eval()
    with torch.inference_mode():
        score = torch.sigmoid(model(Xva).squeeze(1)).numpy()
    print(f"epoch {epoch} loss {tot / len(Xtr):.4f} AP {average_precision_score(yva, score):.4f} recall {recall_score(yva, score > 0.5):.3f}")
