from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split
import torch

torch.manual_seed(0)

wine = load_wine()
x_tr, x_te, y_tr, y_te = train_test_split(wine.data, wine.target, test_size=0.3, random_state=1, stratify=wine.target)

x_tr = torch.FloatTensor(x_tr)
x_te = torch.FloatTensor(x_te)
y_tr = torch.LongTensor(y_tr)
y_te = torch.LongTensor(y_te)


class WineNet(torch.nn.Module):
    def __init__(self):
        super(WineNet, self).__init__()
        self.fc1 = torch.nn.Linear(13, 32)
        self.fc2 = torch.nn.Linear(32, 3)

    def forward(self, x):
        x = torch.relu(self.fc1(x))
        return self.fc2(x)


net = WineNet()
criterion = torch.nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9)

for epoch in range(30):
    idx = torch.randperm(x_tr.size(0))
    total = 0
    for k in range(0, x_tr.size(0), 16):
        rows = idx[k:k + 16]
        optimizer.zero_grad()
        out = net(x_tr[rows])
        loss = criterion(out, y_tr[rows])
        loss.backward()
        optimizer.step()
        total += loss.item() * len(rows)
    with torch.no_grad():
        acc = (net(x_te).argmax(dim=1) == y_te).float().mean()
    print("Epoch %d loss %.4f test acc %.3f" % (epoch + 1, total / len(x_tr), acc))
