import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset
from sklearn.datasets import make_classification
from sklearn.preprocessing import StandardScaler

torch.manual_seed(4)
X, y = make_classification(n_samples=4000, n_features=20, n_informative=10, n_redundant=4, n_classes=6,
                           n_clusters_per_class=2, class_sep=1.3, random_state=4)
scaler = StandardScaler().fit(X[:3200])
X = torch.tensor(scaler.transform(X), dtype=torch.float32)
y = torch.tensor(y)
redo = torch.rand(3200) < 0.5
y[:3200][redo] = torch.randint(0, 6, (int(redo.sum()),))
train_loader = DataLoader(TensorDataset(X[:3200], y[:3200]), batch_size=64, shuffle=True)
val_loader = DataLoader(TensorDataset(X[3200:], y[3200:]), batch_size=256)


class Net(nn.Module):
    def __init__(self, n_in=20, n_hidden=96, n_out=6):
        super().__init__()
        self.fc1 = nn.Linear(n_in, n_hidden)
        self.fc2 = nn.Linear(n_hidden, n_hidden)
        self.fc3 = nn.Linear(n_hidden, n_out)
        self.drop = nn.Dropout(0.1)

    def forward(self, x):
        x = self.drop(F.relu(self.fc1(x)))
        x = self.drop(F.relu(self.fc2(x)))
        return self.fc3(x)


def run_epoch(model, loader, loss_fn, optimizer=None):
    model.train(optimizer is not None)
    loss_sum, correct, count = 0.0, 0, 0
    with torch.set_grad_enabled(optimizer is not None):
        for xb, yb in loader:
            out = model(xb)
            loss = loss_fn(out, yb)
            if optimizer is not None:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            loss_sum += loss.item() * len(xb)
            correct += (out.argmax(1) == yb).sum().item()
            count += len(xb)
    return loss_sum / count, correct / count


model = Net()
loss_fn = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for epoch in range(15):
    tr = run_epoch(model, train_loader, loss_fn, optimizer)
    va = run_epoch(model, val_loader, loss_fn)
    print("epoch %d  train loss %.4f acc %.4f  val loss %.4f acc %.4f" % (epoch, *tr, *va))
