import torch
import torch.nn as nn
from sklearn.datasets import make_multilabel_classification
from sklearn.metrics import f1_score
from torch.utils.data import TensorDataset, DataLoader, random_split

torch.manual_seed(8)
X, Y = make_multilabel_classification(3000, n_features=30, n_classes=6, n_labels=2, length=80, random_state=8)
X = torch.tensor(X, dtype=torch.float32).sqrt()
Y = torch.tensor(Y, dtype=torch.float32)
X = (X - X[:2400].mean(0)) / X[:2400].std(0)
train_ds, val_ds = TensorDataset(X[:2400], Y[:2400]), TensorDataset(X[2400:], Y[2400:])
train_dl, val_dl = DataLoader(train_ds, 40, shuffle=True), DataLoader(val_ds, 300)


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.shared = nn.Sequential(nn.Linear(30, 48), nn.BatchNorm1d(48), nn.GELU(), nn.Dropout(0.2))
        self.tags = nn.Linear(48, 6)

    def forward(self, x):
        return self.tags(self.shared(x))


def train_one_epoch(model, loader, loss_fn, optimizer):
    model.train()
    running = 0.0
    for x, y in loader:
        optimizer.zero_grad()
        loss = loss_fn(model(x), y)
        loss.backward()
        optimizer.step()
        running += loss.item()
    return running / len(loader)


def validate(model, loader, loss_fn):
    model.eval()
    outs, ys = [], []
    with torch.no_grad():
        for x, y in loader:
            outs.append(model(x))
            ys.append(y)
    outs, ys = torch.cat(outs), torch.cat(ys)
    return loss_fn(outs, ys).item(), f1_score(ys.numpy(), (outs > 0).numpy(), average='micro')


model = Tagger()
loss_fn = nn.BCEWithLogitsLoss()
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.05)
for epoch in range(8):
    tr = train_one_epoch(model, train_dl, loss_fn, optimizer)
    va, f1 = validate(model, val_dl, loss_fn)
    print(f'Epoch {epoch}: train={tr:.4f} val={va:.4f} micro-F1={f1:.3f}')
