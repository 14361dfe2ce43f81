import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

torch.manual_seed(21)
X, y = load_digits(return_X_y=True)
X_train, X_val, y_train, y_val = train_test_split(X / 16.0, y, test_size=0.25, random_state=3, stratify=y)
train_ds = TensorDataset(torch.Tensor(X_train), torch.LongTensor(y_train))
val_ds = TensorDataset(torch.Tensor(X_val), torch.LongTensor(y_val))
train_loader = DataLoader(train_ds, batch_size=32, shuffle=True, drop_last=True)
val_loader = DataLoader(val_ds, batch_size=64)


class BNNet(nn.Module):
    def __init__(self, width=64, depth=5):
        super().__init__()
        layers, n_in = [], 64
        for _ in range(depth):
            layers += [nn.Linear(n_in, width, bias=False), nn.BatchNorm1d(width), nn.ReLU()]
            n_in = width
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(width, 10)

    def forward(self, x):
        return self.classifier(self.features(x))


model = BNNet()
loss_fn = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)


def validate():
    model.eval()
    loss, correct = 0.0, 0
    with torch.no_grad():
        for xb, yb in val_loader:
            out = model(xb)
            loss += loss_fn(out, yb).item() * len(yb)
            correct += (out.argmax(1) == yb).sum().item()
    return loss / len(val_ds), correct / len(val_ds)


def train_epoch():
    total = 0.0
    for xb, yb in train_loader:
        optimizer.zero_grad()
        loss = loss_fn(model(xb), yb)
        loss.backward()
        optimizer.step()
        total += loss.item()
    return total / len(train_loader)


print("before training: val loss %.4f, val acc %.3f" % validate())
for epoch in range(12):
    train_loss = train_epoch()
    val_loss, val_acc = validate()
    print(f"epoch {epoch + 1}: train {train_loss:.4f} val {val_loss:.4f} acc {val_acc:.3f}")
