import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

torch.manual_seed(99)
NAMES = ["t-shirt", "trouser", "pullover", "dress", "coat",
         "sandal", "shirt", "sneaker", "bag", "boot"]


class GarmentFolder(Dataset):
    """Mimics an image folder: one directory per class, listed in turn."""

    def __init__(self, split):
        z = np.load("embedded/fashion_mnist_5k_1k.npz")
        images = (torch.from_numpy(z[f"x_{split}"]).float().unsqueeze(1) / 255 - 0.286) / 0.353
        labels = z[f"y_{split}"]
        self.samples = []
        for target, _ in enumerate(NAMES):
            for i in np.flatnonzero(labels == target):
                self.samples.append((images[i], target))

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, i):
        return self.samples[i]


def conv_block(cin, cout):
    return nn.Sequential(nn.Conv2d(cin, cout, 3, stride=2, padding=1),
                         nn.GroupNorm(4, cout), nn.SiLU())


def build():
    return nn.Sequential(conv_block(1, 12), conv_block(12, 24), conv_block(24, 32),
                         nn.Flatten(), nn.Linear(32 * 16, 10))


def train(model, loader, optimizer, loss_fn):
    model.train()
    seen, correct, total = 0, 0, 0.0
    for x, y in loader:
        out = model(x)
        loss = loss_fn(out, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(y)
        correct += (out.argmax(1) == y).sum().item()
        seen += len(y)
    return total / seen, correct / seen


def test(model, loader):
    model.eval()
    correct = 0
    with torch.no_grad():
        for x, y in loader:
            correct += (model(x).argmax(1) == y).sum().item()
    return correct / len(loader.dataset)


def main():
    train_loader = DataLoader(GarmentFolder("train"), batch_size=50)
    test_loader = DataLoader(GarmentFolder("test"), batch_size=200)
    model = build()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-2)
    loss_fn = nn.CrossEntropyLoss(label_smoothing=0.05)
    for epoch in range(6):
        loss, acc = train(model, train_loader, optimizer, loss_fn)
        print(f"epoch {epoch}: train loss {loss:.3f} acc {acc:.3f} | test acc {test(model, test_loader):.3f}")


if __name__ == "__main__":
    main()
