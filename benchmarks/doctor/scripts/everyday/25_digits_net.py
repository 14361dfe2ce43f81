import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn import datasets, model_selection, preprocessing

torch.manual_seed(77)

X, y = datasets.load_digits(return_X_y=True)
X_tr, X_va, y_tr, y_va = model_selection.train_test_split(X, y, test_size=0.25, random_state=77)
scaler = preprocessing.MinMaxScaler((-1, 1))
X_tr = torch.tensor(scaler.fit_transform(X_tr), dtype=torch.float32)
X_va = torch.tensor(scaler.transform(X_va), dtype=torch.float32)
y_tr, y_va = torch.tensor(y_tr), torch.tensor(y_va)
train_loader = torch.utils.data.DataLoader(list(zip(X_tr, y_tr)), batch_size=64, shuffle=True)


class DigitNet(nn.Module):
    def __init__(self):
        super(DigitNet, self).__init__()
        self.fc1 = nn.Linear(64, 80)
        self.fc2 = nn.Linear(80, 40)
        self.fc3 = nn.Linear(40, 10)

    def forward(self, x):
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        return F.log_softmax(self.fc3(x), dim=1)


def train(model, loader, optimizer):
    model.train()
    total = 0.0
    for data, target in loader:
        optimizer.zero_grad()
        output = model(data)
        loss = F.nll_loss(output, target, reduction="sum")
        loss.backward()
        optimizer.step()
        total += F.nll_loss(output, target, reduction="sum").item()
    return total / len(loader.dataset)


def test(model):
    model.eval()
    with torch.no_grad():
        output = model(X_va)
        return F.nll_loss(output, y_va).item(), output.argmax(1).eq(y_va).float().mean().item()


model = DigitNet()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.5)
for epoch in range(1, 16):
    loss = train(model, train_loader, optimizer)
    test_loss, test_acc = test(model)
    print("Train epoch {}: avg loss {:.4f}; test loss {:.4f}, test accuracy {:.3f}".format(epoch, loss, test_loss, test_acc))
