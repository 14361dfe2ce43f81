import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from sklearn.datasets import make_classification
from sklearn.metrics import balanced_accuracy_score, f1_score
from sklearn.model_selection import train_test_split

torch.manual_seed(48)
X, y = make_classification(n_samples=5000, n_features=16, n_informative=5, n_redundant=3, n_classes=2,
                           weights=[0.95], class_sep=0.55, flip_y=0.02, random_state=48)
X_train, X_val, y_train, y_val = train_test_split(X, y, test_size=0.3, stratify=y, random_state=48)
m, s = X_train.mean(0), X_train.std(0)
X_train = torch.tensor((X_train - m) / s, dtype=torch.float32)
X_val = torch.tensor((X_val - m) / s, dtype=torch.float32)
y_train_t = torch.tensor(y_train, dtype=torch.long)

train_ds = TensorDataset(X_train, y_train_t)
loader = DataLoader(train_ds, batch_size=64, shuffle=True)


class DefectNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(16, 32), nn.ReLU(), nn.Dropout(0.2),
            nn.Linear(32, 16), nn.ReLU(),
            nn.Linear(16, 2))

    def forward(self, x):
        return self.layers(x)


net = DefectNet()
optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
criterion = nn.CrossEntropyLoss()

for epoch in range(8):
    net.train()
    losses = []
    for xb, yb in loader:
        optimizer.zero_grad()
        loss = criterion(net(xb), yb)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    net.eval()
    with torch.no_grad():
        pred = net(X_val).argmax(1).numpy()
    print(f"epoch {epoch + 1}: loss {np.mean(losses):.4f} accuracy {(pred == y_val).mean():.4f} "
          f"balanced {balanced_accuracy_score(y_val, pred):.3f} f1 {f1_score(y_val, pred, zero_division=0):.3f}")
