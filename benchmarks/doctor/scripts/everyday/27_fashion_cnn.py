import numpy as np
import torch
import torch.nn as nn
from torch.optim.lr_scheduler import ExponentialLR
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(27)
BATCH, EPOCHS, LR = 64, 8, 0.03

z = np.load("embedded/fashion_mnist_5k_1k.npz")
prep = lambda a: (torch.from_numpy(a).float().unsqueeze(1) / 255 - 0.2860) / 0.3530
train_loader = DataLoader(TensorDataset(prep(z["x_train"]), torch.from_numpy(z["y_train"]).long()), BATCH, shuffle=True)
val_loader = DataLoader(TensorDataset(prep(z["x_test"]), torch.from_numpy(z["y_test"]).long()), 500)

model = nn.Sequential(
    nn.Conv2d(1, 8, 3, stride=2, padding=1), nn.ReLU(),
    nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.ReLU(),
    nn.Flatten(),
    nn.Linear(16 * 7 * 7, 10),
)
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=LR, momentum=0.9)
scheduler = ExponentialLR(optimizer, gamma=0.85)

for epoch in range(EPOCHS):
    model.train()
    running_loss = 0.0
    for images, labels in train_loader:
        optimizer.zero_grad()
        loss = criterion(model(images), labels)
        loss.backward()
        optimizer.step()
        scheduler.step()
        running_loss += loss.item()
    model.eval()
    correct, val_loss = 0, 0.0
    with torch.no_grad():
        for images, labels in val_loader:
            outputs = model(images)
            val_loss += criterion(outputs, labels).item()
            correct += (outputs.argmax(1) == labels).sum().item()
    print(f"Epoch [{epoch + 1}/{EPOCHS}] train {running_loss / len(train_loader):.4f} "
          f"val {val_loss / len(val_loader):.4f} acc {correct / 1000:.3f}")
