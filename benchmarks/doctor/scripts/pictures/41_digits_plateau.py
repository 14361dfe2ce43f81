import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset, random_split

torch.manual_seed(99)
bunch = load_digits()
x = torch.tensor(bunch.images, dtype=torch.float32).unsqueeze(1).div(16).sub(0.305).div(0.376)
data = TensorDataset(x, torch.tensor(bunch.target))
train_set, val_set, test_set = random_split(data, [1200, 297, 300])
train_loader = DataLoader(train_set, batch_size=40, shuffle=True)
val_loader = DataLoader(val_set, batch_size=297)
test_loader = DataLoader(test_set, batch_size=300)

cnn = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
                    nn.Flatten(), nn.Linear(256, 32), nn.ReLU(), nn.Linear(32, 10))
criterion = nn.CrossEntropyLoss()
sgd = torch.optim.SGD(cnn.parameters(), lr=0.03, momentum=0.9, nesterov=True, weight_decay=1e-4)
plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(sgd, factor=0.5, patience=2)


def run(loader):
    cnn.eval()
    with torch.no_grad():
        x, y = next(iter(loader))
        out = cnn(x)
        return criterion(out, y).item(), (out.argmax(1) == y).float().mean().item()


for epoch in range(7):
    cnn.train()
    total = 0
    for x, y in train_loader:
        sgd.zero_grad()
        loss = criterion(cnn(x), y)
        loss.backward()
        sgd.step()
        total += loss.item()
    vl, va = run(val_loader)
    plateau.step(vl)
    print("epoch %d train %.4f val %.4f acc %.3f" % (epoch, total / len(train_loader), vl, va))
print("test", run(test_loader))
