# fashion baseline, LeNet style
import numpy as np
import torch
from torch import nn, optim
from torch.nn import functional as F
from torch.utils.data import Dataset, DataLoader


class NpzImages(Dataset):
    def __init__(self, path, split):
        d = np.load(path)
        self.x = d[f"x_{split}"]
        self.y = d[f"y_{split}"]

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        img = torch.from_numpy(self.x[i]).float().div(255).sub(0.286).div(0.353)
        return img[None, ::2, ::2], int(self.y[i])


class LeNet(nn.Module):
    def __init__(self, num_classes=10):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, padding=1)
        self.conv2 = nn.Conv2d(8, 16, 3)
        self.fc1 = nn.Linear(16 * 2 * 2, 64)
        self.fc2 = nn.Linear(64, num_classes)

    def forward(self, x):
        x = F.max_pool2d(torch.relu(self.conv1(x)), 2)
        x = F.max_pool2d(torch.relu(self.conv2(x)), 2)
        x = x.view(x.size(0), -1)
        x = torch.relu(self.fc1(x))
        return self.fc2(x)


def main():
    torch.manual_seed(17)
    path = "embedded/fashion_mnist_5k_1k.npz"
    train = DataLoader(NpzImages(path, "train"), batch_size=50, shuffle=True)
    test = DataLoader(NpzImages(path, "test"), batch_size=200)
    model = LeNet()
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    for epoch in range(1, 6):
        model.train()
        total, seen = 0.0, 0
        for data, target in train:
            optimizer.zero_grad()
            output = model(data)
            loss = F.mse_loss(output, F.one_hot(target, 10).float())
            loss.backward()
            optimizer.step()
            total += loss.item() * len(target)
            seen += len(target)
        model.eval()
        correct = 0
        with torch.no_grad():
            for data, target in test:
                correct += model(data).argmax(dim=1).eq(target).sum().item()
        print("Epoch: {} Loss: {:.4f} Test: {}/{}".format(epoch, total / seen, correct, len(test.dataset)))


if __name__ == "__main__":
    main()
