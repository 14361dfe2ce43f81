"""Multi-label tagging of synthetic documents."""
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(10)
g = torch.Generator().manual_seed(10)
# synthetic documents: 40 "topic words", 8 tags, each tag switches on a handful of words
N, V, K = 3000, 40, 8
loadings = (torch.rand(K, V, generator=g) < 0.15).float() * 1.6
tags = (torch.rand(N, K, generator=g) < 0.2).float()
rate = torch.exp(-0.7 + tags @ loadings).clamp(max=12)
counts = torch.poisson(rate, generator=g)
X = torch.log1p(counts)
X = (X - X[:2400].mean(0)) / X[:2400].std(0)
train = DataLoader(TensorDataset(X[:2400], tags[:2400]), batch_size=50, shuffle=True)
Xv, Tv = X[2400:], tags[2400:]


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(V, 64), nn.ReLU(), nn.Dropout(0.1), nn.Linear(64, K))

    def forward(self, x):
        return torch.sigmoid(self.body(x))


model = Tagger()
criterion = nn.BCEWithLogitsLoss()
optimizer = torch.optim.NAdam(model.parameters(), lr=2e-3)
for epoch in range(10):
    model.train()
    total = 0
    for xb, tb in train:
        optimizer.zero_grad()
        loss = criterion(model(xb), tb)
        loss.backward()
        optimizer.step()
        total += loss.item()
    model.eval()
    with torch.no_grad():
        out = model(Xv)
        val = criterion(out, Tv)
        pred = (out > 0.5).float()
        tp = (pred * Tv).sum()
        f1 = 2 * tp / (pred.sum() + Tv.sum()).clamp(min=1)
    print(f"epoch {epoch}: train {total / len(train):.4f} val {val:.4f} micro-F1 {f1:.3f}")
