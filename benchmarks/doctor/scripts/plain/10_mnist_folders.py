"""Train a digit classifier from images grouped per class."""
import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(5)


def read_split(x, y, per_class):
    """Collect the images class by class, as the image folders store them."""
    images, labels = [], []
    for digit in range(10):
        picked = x[y == digit][:per_class]
        images.append(picked)
        labels.append(np.full(len(picked), digit))
    images = torch.tensor(np.concatenate(images), dtype=torch.float32).view(-1, 784) / 255.0
    return TensorDataset(images, torch.tensor(np.concatenate(labels)))


z = np.load("data/mnist.npz")
train_set = read_split(z["x_train"], z["y_train"], 1500)
test_set = read_split(z["x_test"], z["y_test"], 300)
train_loader = DataLoader(train_set, batch_size=100)
test_loader = DataLoader(test_set, batch_size=500)

model = nn.Sequential(nn.Linear(784, 100), nn.ReLU(), nn.Linear(100, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
loss_fn = nn.CrossEntropyLoss()


def test():
    model.eval()
    correct = 0
    with torch.no_grad():
        for x, y in test_loader:
            correct += (model(x).argmax(1) == y).sum().item()
    return correct / len(test_set)


for epoch in range(5):
    model.train()
    total = 0.0
    for x, y in train_loader:
        optimizer.zero_grad()
        loss = loss_fn(model(x), y)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(y)
    print(f"Epoch {epoch + 1}: loss {total / len(train_set):.4f}, test accuracy {test():.4f}")
