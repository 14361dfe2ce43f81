import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(39)
data = np.load("embedded/fashion_mnist_5k_1k.npz")


def dataset(x, y):
    x = torch.from_numpy(x).float().flatten(1).div(255).sub(0.286).div(0.353)
    return TensorDataset(x, torch.from_numpy(y).long())


train_loader = DataLoader(dataset(data["x_train"], data["y_train"]), batch_size=100, shuffle=True)
val_loader = DataLoader(dataset(data["x_test"], data["y_test"]), batch_size=1000)

model = nn.Sequential(nn.Linear(784, 100), nn.ReLU(), nn.Linear(100, 50), nn.ReLU(), nn.Linear(50, 10))
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=0.1)
criterion = nn.CrossEntropyLoss()

for epoch in range(8):
    model.train()
    running, seen = 0.0, 0
    for inputs, targets in train_loader:
        optimizer.zero_grad()
        outputs = model(inputs)
        loss = criterion(outputs, targets)
        loss.backward()
        optimizer.step()
        running += loss.item() * len(targets)
        seen += len(targets)
    model.eval()
    with torch.no_grad():
        for inputs, targets in val_loader:
            outputs = model(inputs)
            print(f"epoch {epoch}: train {running / seen:.4f} val {criterion(outputs, targets).item():.4f} acc {(outputs.argmax(1) == targets).float().mean().item():.4f}")
