"""Fashion-MNIST MLP, SGD with momentum and a step schedule."""
import numpy as np
import torch
from torch import nn
from torch.optim.lr_scheduler import StepLR
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(20)


def get_loaders(batch_size):
    f = np.load("data/fashion_mnist.npz")
    xtr = torch.tensor(f["x_train"][:15000], dtype=torch.float32).flatten(1) / 255
    xte = torch.tensor(f["x_test"][:3000], dtype=torch.float32).flatten(1) / 255
    mean, std = xtr.mean(), xtr.std()
    ytr = torch.tensor(f["y_train"][:15000], dtype=torch.long)
    yte = torch.tensor(f["y_test"][:3000], dtype=torch.long)
    return (DataLoader(TensorDataset((xtr - mean) / std, ytr), batch_size, shuffle=True),
            DataLoader(TensorDataset((xte - mean) / std, yte), 500))


def evaluate(net, loader):
    net.eval()
    with torch.no_grad():
        good = sum((net(x).argmax(1) == y).sum().item() for x, y in loader)
    return good / len(loader.dataset)


def fit(net, train_loader, test_loader, epochs):
    loss_fn = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
    scheduler = StepLR(optimizer, step_size=3, gamma=0.2)
    for epoch in range(epochs):
        net.train()
        total = 0.0
        for x, y in train_loader:
            optimizer.zero_grad()
            loss = loss_fn(net(x), y)
            loss.backward()
            optimizer.step()
            scheduler.step()
            total += loss.item()
        acc = evaluate(net, test_loader)
        print(f"epoch {epoch + 1}: loss {total / len(train_loader):.4f} test accuracy {acc:.4f}")


train_loader, test_loader = get_loaders(64)
net = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
fit(net, train_loader, test_loader, epochs=6)
