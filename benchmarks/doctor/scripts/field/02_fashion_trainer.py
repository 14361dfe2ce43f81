import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)


def load(split):
    z = np.load("embedded/fashion_mnist_5k_1k.npz")
    x = torch.from_numpy(z[f"x_{split}"]).float().unsqueeze(1) / 255.0
    x = (x - 0.286) / 0.353
    return TensorDataset(x, torch.from_numpy(z[f"y_{split}"]).long())


class SmallNet(nn.Module):
    def __init__(self, p=0.5):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 5, stride=2, padding=2), nn.BatchNorm2d(8), nn.ReLU(),
            nn.Dropout2d(0.1),
            nn.Conv2d(8, 24, 3, stride=2, padding=1), nn.BatchNorm2d(24), nn.ReLU(),
            nn.Flatten(),
        )
        self.head = nn.Sequential(nn.Dropout(p), nn.Linear(24 * 49, 64), nn.ReLU(),
                                  nn.Dropout(p), nn.Linear(64, 10))

    def forward(self, x):
        return self.head(self.features(x))


class Trainer:
    def __init__(self, model, train_set, val_set, lr=0.02, batch_size=64):
        self.model = model
        self.train_loader = DataLoader(train_set, batch_size, shuffle=True)
        self.val_loader = DataLoader(val_set, batch_size)
        self.criterion = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9,
                                         nesterov=True, weight_decay=5e-4)
        self.history = []

    def fit(self, epochs):
        for epoch in range(1, epochs + 1):
            train_loss = self._train_epoch()
            val_loss, val_acc = self.evaluate()
            self.history.append((train_loss, val_loss, val_acc))
            print(f"[{epoch}/{epochs}] train_loss={train_loss:.3f} "
                  f"val_loss={val_loss:.3f} val_acc={val_acc:.3f}")

    def _train_epoch(self):
        self.model.train()
        running = 0.0
        for x, y in self.train_loader:
            self.optimizer.zero_grad(set_to_none=True)
            loss = self.criterion(self.model(x), y)
            loss.backward()
            self.optimizer.step()
            running += loss.item()
        return running / len(self.train_loader)

    @torch.no_grad()
    def evaluate(self):
        loss, correct, n = 0.0, 0, 0
        for x, y in self.val_loader:
            out = self.model(x)
            loss += self.criterion(out, y).item() * len(y)
            correct += (out.argmax(1) == y).sum().item()
            n += len(y)
        return loss / n, correct / n


if __name__ == "__main__":
    trainer = Trainer(SmallNet(), load("train"), load("test"))
    trainer.fit(epochs=7)
    print("final accuracy", trainer.history[-1][2])
