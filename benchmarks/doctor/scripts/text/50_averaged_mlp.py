import copy
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import make_classification
from sklearn.preprocessing import StandardScaler

torch.manual_seed(12)
X, y = make_classification(2600, 30, n_informative=12, n_classes=4, class_sep=1.6, random_state=5)
scaler = StandardScaler().fit(X[:2000])
X = torch.tensor(scaler.transform(X), dtype=torch.float32)
y = torch.tensor(y)

model = nn.Sequential(nn.Linear(30, 96), nn.LayerNorm(96), nn.GELU(), nn.Dropout(0.1), nn.Linear(96, 48), nn.GELU(), nn.Linear(48, 4))
shadow = copy.deepcopy(model).eval()
for p in shadow.parameters():
    p.requires_grad_(False)
opt = torch.optim.RMSprop(model.parameters(), lr=1e-3, weight_decay=1e-4)
for epoch in range(8):
    model.train()
    for idx in torch.randperm(2000).split(32):
        loss = F.cross_entropy(model(X[idx]), y[idx], label_smoothing=0.05)
        opt.zero_grad()
        loss.backward()
        opt.step()
        with torch.no_grad():
            for ps, p in zip(shadow.parameters(), model.parameters()):
                ps.lerp_(p, 0.02)
    model.eval()
    with torch.no_grad():
        raw = (model(X[2000:]).argmax(1) == y[2000:]).float().mean().item()
        avg = (shadow(X[2000:]).argmax(1) == y[2000:]).float().mean().item()
    print(f"epoch {epoch} loss {loss.item():.3f} val {raw:.3f} averaged {avg:.3f}")
