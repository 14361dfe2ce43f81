import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset
from sklearn.datasets import make_multilabel_classification
from sklearn.metrics import f1_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

torch.manual_seed(0)
X, Y = make_multilabel_classification(n_samples=3000, n_features=30, n_classes=8, n_labels=3, length=60, random_state=0)
X_train, X_val, Y_train, Y_val = train_test_split(X, Y, test_size=0.25, random_state=0)
scaler = StandardScaler()
X_train = torch.FloatTensor(scaler.fit_transform(X_train))
X_val = torch.FloatTensor(scaler.transform(X_val))
Y_train, Y_val = torch.FloatTensor(Y_train), torch.FloatTensor(Y_val)

train_loader = DataLoader(TensorDataset(X_train, Y_train), batch_size=64, shuffle=True)


class TagModel(nn.Module):
    def __init__(self, d_in, d_out, hidden=64, p=0.5):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(d_in, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Dropout(p),
            nn.Linear(hidden, d_out),
        )

    def forward(self, x):
        return self.layers(x)


def train(model, loader, criterion, optimizer):
    model.train()
    tot = 0.0
    for xb, yb in loader:
        optimizer.zero_grad()
        out = model(xb)
        loss = criterion(out, yb)
        loss.backward()
        optimizer.step()
        tot += loss.item()
    return tot / len(loader)


def evaluate(model, criterion):
    with torch.no_grad():
        out = model(X_val)
        loss = criterion(out, Y_val).item()
        pred = (torch.sigmoid(out) > 0.5).int()
    return loss, f1_score(Y_val.int().numpy(), pred.numpy(), average="micro")


model = TagModel(30, 8)
criterion = nn.BCEWithLogitsLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
for epoch in range(12):
    tl = train(model, train_loader, criterion, optimizer)
    vl, f1 = evaluate(model, criterion)
    print(f"Epoch {epoch + 1}: train loss {tl:.4f} | val loss {vl:.4f} | micro-F1 {f1:.4f}")
