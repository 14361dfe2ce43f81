import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(43)
f = np.load("embedded/mnist_5k_1k.npz")
make = lambda x, y: TensorDataset((torch.tensor(x).float().flatten(1) / 255 - 0.1307) / 0.3081, torch.tensor(y).long())
train_loader = DataLoader(make(f["x_train"][:1500], f["y_train"][:1500]), batch_size=50, shuffle=True)
test_loader = DataLoader(make(f["x_test"], f["y_test"]), batch_size=500)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(784, 256)
        self.bn1 = nn.BatchNorm1d(256)
        self.fc2 = nn.Linear(256, 128)
        self.drop = nn.Dropout(0.5)
        self.fc3 = nn.Linear(128, 10)

    def forward(self, x):
        x = self.drop(F.relu(self.bn1(self.fc1(x))))
        x = self.drop(F.relu(self.fc2(x)))
        return self.fc3(x)


def evaluate(model):
    model.eval()
    loss = correct = 0
    with torch.no_grad():
        for x, y in test_loader:
            out = model(x)
            loss += F.cross_entropy(out, y, reduction="sum").item()
            correct += (out.argmax(1) == y).sum().item()
    return loss / 1000, correct / 1000


model = Net()
opt = torch.optim.RMSprop(model.parameters(), lr=1e-3)
model.train()
for epoch in range(15):
    total = 0.0
    for x, y in train_loader:
        opt.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        opt.step()
        total += loss.item() / len(train_loader)
    vl, va = evaluate(model)
    print(f"epoch {epoch}  train {total:.4f}  test {vl:.4f}  acc {va:.4f}")
