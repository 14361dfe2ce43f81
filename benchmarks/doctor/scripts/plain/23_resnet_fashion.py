"""Small residual network for Fashion-MNIST, SGD + cosine."""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset


class FashionDataset(Dataset):
    def __init__(self, split, n, train=False):
        z = np.load("data/fashion_mnist.npz")
        self.x = torch.from_numpy(z[f"x_{split}"][:n]).float().unsqueeze(1).div(255).sub(0.286).div(0.353)
        self.y = torch.from_numpy(z[f"y_{split}"][:n]).long()
        self.train = train

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        x = self.x[i]
        if self.train and torch.rand(1).item() < 0.5:
            x = torch.flip(x, dims=[-1])
        return x, self.y[i]


class ResBlock(nn.Module):
    def __init__(self, cin, cout, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(cout)
        self.conv2 = nn.Conv2d(cout, cout, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(cout)
        self.shortcut = nn.Sequential()
        if stride != 1 or cin != cout:
            self.shortcut = nn.Sequential(nn.Conv2d(cin, cout, 1, stride, bias=False), nn.BatchNorm2d(cout))

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return F.relu(out + self.shortcut(x))


class ResNet(nn.Module):
    def __init__(self, num_classes=10):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.layer1 = ResBlock(8, 8)
        self.layer2 = ResBlock(8, 16, 2)
        self.layer3 = ResBlock(16, 32, 2)
        self.fc = nn.Linear(32, num_classes)

    def forward(self, x):
        x = self.layer3(self.layer2(self.layer1(self.stem(x))))
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


def accuracy(model, loader):
    model.eval()
    good = 0
    with torch.no_grad():
        for x, y in loader:
            good += (model(x).argmax(1) == y).sum().item()
    return good / len(loader.dataset)


if __name__ == "__main__":
    torch.manual_seed(2)
    EPOCHS = 5
    train_loader = DataLoader(FashionDataset("train", 4000, train=True), batch_size=32, shuffle=True)
    test_loader = DataLoader(FashionDataset("test", 1000), batch_size=500)
    model = ResNet()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4, nesterov=True)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=EPOCHS * len(train_loader))
    criterion = nn.CrossEntropyLoss()
    for epoch in range(EPOCHS):
        model.train()
        loss_sum = 0.0
        for x, y in train_loader:
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
            scheduler.step()
            loss_sum += loss.item()
        test_acc = accuracy(model, test_loader)
        print(f"epoch {epoch + 1}: loss {loss_sum / len(train_loader):.3f} test acc {test_acc:.4f}")
