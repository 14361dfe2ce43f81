import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

device = "cuda" if torch.cuda.is_available() else "cpu"
torch.manual_seed(99)

npz = np.load("data/fashion_mnist.npz")


def make_loader(x, y, shuffle):
    x = torch.tensor(x, dtype=torch.float32).unsqueeze(1) / 255.0
    return DataLoader(TensorDataset(x, torch.tensor(y, dtype=torch.long)), batch_size=50, shuffle=shuffle)


train_loader = make_loader(npz["x_train"][:6000], npz["y_train"][:6000], True)
valid_loader = make_loader(npz["x_train"][50000:51000], npz["y_train"][50000:51000], False)
test_loader = make_loader(npz["x_test"][:1500], npz["y_test"][:1500], False)

model = nn.Sequential(
    nn.Conv2d(1, 16, 3, stride=2, padding=1), nn.BatchNorm2d(16), nn.ReLU(),
    nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.BatchNorm2d(32), nn.ReLU(),
    nn.Flatten(),
    nn.Dropout(0.5),
    nn.Linear(32 * 7 * 7, 64), nn.ReLU(),
    nn.Dropout(0.5),
    nn.Linear(64, 10),
).to(device)
loss_fn = nn.CrossEntropyLoss()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-2)


def train_one_epoch():
    model.train()
    running = 0.0
    for images, targets in train_loader:
        images, targets = images.to(device), targets.to(device)
        optimizer.zero_grad()
        loss = loss_fn(model(images), targets)
        loss.backward()
        optimizer.step()
        running += loss.item()
    return running / len(train_loader)


def evaluate(loader):
    loss_sum, hits, n = 0.0, 0, 0
    with torch.no_grad():
        for images, targets in loader:
            out = model(images.to(device))
            loss_sum += loss_fn(out, targets.to(device)).item() * len(targets)
            hits += (out.argmax(1).cpu() == targets).sum().item()
            n += len(targets)
    return loss_sum / n, hits / n


for epoch in range(5):
    train_loss = train_one_epoch()
    val_loss, val_acc = evaluate(valid_loader)
    print(f"EPOCH {epoch + 1}: train {train_loss:.4f} valid {val_loss:.4f} accuracy {val_acc:.4f}")
print("TEST: loss %.4f accuracy %.4f" % evaluate(test_loader))
