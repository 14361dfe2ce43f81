"""Coursework: five classes from thirteen measurements."""
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import make_classification
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

torch.manual_seed(15)
X, y = make_classification(n_samples=1600, n_features=13, n_informative=9, n_redundant=2, n_classes=5,
                           n_clusters_per_class=2, class_sep=1.3, flip_y=0.02, random_state=15)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.25, random_state=1, stratify=y)
scaler = StandardScaler().fit(X_train)
X_train = torch.tensor(scaler.transform(X_train)).float()
X_test = torch.tensor(scaler.transform(X_test)).float()
y_train, y_test = torch.tensor(y_train), torch.tensor(y_test)


class ClassNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(13, 48)
        self.fc2 = nn.Linear(48, 24)
        self.fc3 = nn.Linear(24, 5)

    def forward(self, x):
        x = F.elu(self.fc1(x))
        x = F.elu(self.fc2(x))
        return torch.softmax(self.fc3(x), dim=-1)


model = ClassNet()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
criterion = nn.BCELoss()
targets = F.one_hot(y_train, 5).float()

for epoch in range(15):
    model.train()
    epoch_loss = 0.0
    perm = torch.randperm(len(X_train))
    for idx in perm.split(32):
        optimizer.zero_grad()
        loss = criterion(model(X_train[idx]), targets[idx])
        loss.backward()
        optimizer.step()
        epoch_loss += loss.item() * len(idx)
    model.eval()
    with torch.no_grad():
        test_acc = (model(X_test).argmax(dim=1) == y_test).float().mean().item()
    if epoch % 1 == 0:
        print("Epoch %d, Loss: %.4f, Test accuracy: %.3f" % (epoch + 1, epoch_loss / len(X_train), test_acc))
