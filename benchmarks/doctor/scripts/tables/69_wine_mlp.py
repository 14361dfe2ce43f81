from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(2)
wine = load_wine()
X_train, X_test, y_train, y_test = train_test_split(wine.data, wine.target, test_size=0.3, stratify=wine.target, random_state=2)
mu, sigma = X_train.mean(0), X_train.std(0)
X_train = torch.tensor((X_train - mu) / sigma, dtype=torch.float32)
X_test = torch.tensor((X_test - mu) / sigma, dtype=torch.float32)
y_train, y_test = torch.tensor(y_train), torch.tensor(y_test)


class WineNet(nn.Module):
    def __init__(self):
        super(WineNet, self).__init__()
        self.l1 = nn.Linear(13, 16)
        self.bn = nn.BatchNorm1d(16)
        self.l2 = nn.Linear(16, 3)

    def forward(self, x):
        x = torch.relu(self.bn(self.l1(x)))
        return F.log_softmax(self.l2(x), dim=1)


net = WineNet()
optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
batch = 2
for epoch in range(25):
    net.train()
    order = torch.randperm(len(X_train))
    running = 0.0
    for i in range(0, len(order), batch):
        sel = order[i:i + batch]
        optimizer.zero_grad()
        output = net(X_train[sel])
        loss = F.nll_loss(output, y_train[sel])
        loss.backward()
        optimizer.step()
        running += loss.item() * len(sel)
    net.eval()
    with torch.no_grad():
        output = net(X_test)
        test_loss = F.nll_loss(output, y_test).item()
        acc = (output.argmax(1) == y_test).float().mean().item()
    print("Epoch: {:2d}  train loss: {:.4f}  test loss: {:.4f}  accuracy: {:.3f}".format(epoch, running / len(order), test_loss, acc))
