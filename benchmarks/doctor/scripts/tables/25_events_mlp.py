"""Rare event detection."""
import torch
from torch import nn
import torch.nn.functional as F
from sklearn.datasets import make_classification
from sklearn.metrics import roc_auc_score, recall_score, balanced_accuracy_score
from sklearn.model_selection import train_test_split

SEED = 8
torch.manual_seed(SEED)
X, y = make_classification(n_samples=6000, n_features=16, n_informative=6, n_redundant=2, weights=[0.97],
                           class_sep=0.5, flip_y=0.02, random_state=SEED)
Xtr, Xva, ytr, yva = train_test_split(X, y, stratify=y, test_size=0.25, random_state=SEED)
m, s = Xtr.mean(0), Xtr.std(0)
Xtr = torch.as_tensor((Xtr - m) / s, dtype=torch.float32)
Xva = torch.as_tensor((Xva - m) / s, dtype=torch.float32)
ytr = torch.as_tensor(ytr, dtype=torch.long)
yva_np = yva

model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 2))
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01)

for epoch in range(8):
    model.train()
    order = torch.randperm(len(Xtr))
    seen, total = 0, 0.0
    for chunk in order.split(128):
        logits = model(Xtr[chunk])
        loss = F.cross_entropy(logits, ytr[chunk])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(chunk)
        seen += len(chunk)
    model.eval()
    with torch.inference_mode():
        out = model(Xva).softmax(1)
    auc = roc_auc_score(yva_np, out[:, 1].numpy())
    pred = out.argmax(1).numpy()
    rec = recall_score(yva_np, pred)
    print(f"epoch {epoch:2d} loss {total / seen:.4f} auc {auc:.4f} recall {rec:.3f} "
          f"balanced acc {balanced_accuracy_score(yva_np, pred):.3f}")
