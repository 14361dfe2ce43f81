import numpy as np
import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.utils.data import DataLoader, TensorDataset


class DigitNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(),
            nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
        )
        self.classifier = nn.Sequential(nn.Flatten(), nn.Dropout(0.25), nn.Linear(32 * 16, 10))

    def forward(self, x):
        return self.classifier(self.features(x))


def main():
    torch.manual_seed(21)
    np.random.seed(21)
    digits = load_digits()
    x = (digits.images / 16.0).astype(np.float32)[:, None]
    y = digits.target
    x_tmp, x_test, y_tmp, y_test = train_test_split(x, y, test_size=0.2, stratify=y, random_state=21)
    x_train, x_val, y_train, y_val = train_test_split(x_tmp, y_tmp, test_size=0.15, stratify=y_tmp, random_state=21)

    def ds(a, b):
        return TensorDataset(torch.from_numpy(a), torch.from_numpy(b))

    train_loader = DataLoader(ds(x_train, y_train), batch_size=32, shuffle=True, drop_last=True)
    val_loader = DataLoader(ds(x_val, y_val), batch_size=128)
    test_loader = DataLoader(ds(x_test, y_test), batch_size=128)

    model = DigitNet()
    epochs = 12
    criterion = nn.CrossEntropyLoss(label_smoothing=0.1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs)

    @torch.no_grad()
    def evaluate(loader):
        model.eval()
        loss = correct = total = 0
        for xb, yb in loader:
            out = model(xb)
            loss += criterion(out, yb).item() * len(yb)
            correct += (out.argmax(1) == yb).sum().item()
            total += len(yb)
        return loss / total, correct / total

    for epoch in range(epochs):
        model.train()
        running = 0.0
        for xb, yb in train_loader:
            optimizer.zero_grad()
            loss = criterion(model(xb), yb)
            loss.backward()
            optimizer.step()
            running += loss.item()
        scheduler.step()
        vl, va = evaluate(val_loader)
        print(f"Epoch [{epoch + 1}/{epochs}] train {running / len(train_loader):.4f} val {vl:.4f} acc {va:.4f}")
    print("Test accuracy: %.4f" % evaluate(test_loader)[1])


if __name__ == "__main__":
    main()
