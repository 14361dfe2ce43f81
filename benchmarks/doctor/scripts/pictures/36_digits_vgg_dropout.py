"""VGG-ish network with batch norm for low resolution digits."""
import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedShuffleSplit
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(8)


def conv_block(c_in, c_out, pool=True):
    layers = [nn.Conv2d(c_in, c_out, kernel_size=3, padding=1), nn.BatchNorm2d(c_out), nn.ReLU()]
    if pool:
        layers.append(nn.MaxPool2d(2))
    return layers


class SmallVGG(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(*conv_block(1, 16, pool=False), *conv_block(16, 24), *conv_block(24, 32))
        self.classifier = nn.Sequential(nn.Flatten(), nn.Dropout(0.95), nn.Linear(32 * 4, 10))

    def forward(self, x):
        return self.classifier(self.features(x))


def validate(model, loader, criterion):
    model.eval()
    loss, hits, n = 0.0, 0, 0
    with torch.no_grad():
        for images, labels in loader:
            logits = model(images)
            loss += criterion(logits, labels).item() * len(labels)
            hits += (logits.argmax(1) == labels).sum().item()
            n += len(labels)
    return loss / n, hits / n


digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 8 - 1
labels = torch.tensor(digits.target)
split = StratifiedShuffleSplit(n_splits=1, test_size=0.25, random_state=3)
tr, te = next(split.split(digits.data, digits.target))
train_loader = DataLoader(TensorDataset(images[tr], labels[tr]), batch_size=32, shuffle=True, drop_last=True)
test_loader = DataLoader(TensorDataset(images[te], labels[te]), batch_size=90)

model = SmallVGG()
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.NAdam(model.parameters(), lr=2e-3)

model.train()
for epoch in range(6):
    model.train()
    running = 0.0
    for images, labels in train_loader:
        optimizer.zero_grad()
        loss = criterion(model(images), labels)
        loss.backward()
        optimizer.step()
        running += loss.item()
    val_loss, val_acc = validate(model, test_loader, criterion)
    print(f"{epoch=} train={running / len(train_loader):.3f} val={val_loss:.3f} acc={val_acc:.3f}")
