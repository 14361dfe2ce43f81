import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(36)
LEARNING_RATE = 5e-2
BATCH_SIZE = 64
NUM_EPOCHS = 6

raw = np.load("embedded/fashion_mnist_5k_1k.npz")


def as_dataset(images, labels):
    images = (torch.tensor(images, dtype=torch.float32)[:, None] / 255.0 - 0.286) / 0.353
    return TensorDataset(images, torch.tensor(labels, dtype=torch.long))


train_loader = DataLoader(as_dataset(raw["x_train"][:4000], raw["y_train"][:4000]), batch_size=BATCH_SIZE, shuffle=True)
test_loader = DataLoader(as_dataset(raw["x_test"], raw["y_test"]), batch_size=250)


class ConvNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, kernel_size=3, stride=2, padding=1)
        self.conv2 = nn.Conv2d(8, 16, kernel_size=3, stride=2, padding=1)
        self.fc1 = nn.Linear(16 * 7 * 7, 64)
        self.fc2 = nn.Linear(64, 10)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = F.relu(self.conv2(x))
        x = F.relu(self.fc1(torch.flatten(x, 1)))
        return self.fc2(x)


net = ConvNet()
optimizer = torch.optim.Adam(net.parameters(), lr=LEARNING_RATE)
criterion = nn.CrossEntropyLoss()

for epoch in range(NUM_EPOCHS):
    net.train()
    loss_total = 0.0
    for images, labels in train_loader:
        optimizer.zero_grad()
        loss = criterion(net(images), labels)
        loss.backward()
        optimizer.step()
        loss_total += loss.item()
    net.eval()
    correct = 0
    with torch.no_grad():
        for images, labels in test_loader:
            correct += (net(images).argmax(1) == labels).sum().item()
    print(f"epoch {epoch + 1}/{NUM_EPOCHS}  train loss {loss_total / len(train_loader):.4f}  test accuracy {correct / 10:.1f}%")
