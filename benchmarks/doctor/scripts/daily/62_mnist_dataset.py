import torch
from torch import nn
from torch.utils.data import Dataset, DataLoader
import numpy as np

torch.manual_seed(4)


class FolderDigits(Dataset):
    """An image-folder data set held in memory."""

    def __init__(self, x, y):
        self.samples = []
        for c in range(10):
            for img in x[y == c]:
                self.samples.append((img, c))

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, i):
        img, c = self.samples[i]
        t = torch.from_numpy(img.astype(np.float32) / 255.0)
        return (t - 0.1307) / 0.3081, c


d = np.load("embedded/mnist_5k_1k.npz")
train_dl = DataLoader(FolderDigits(d["x_train"][:3000], d["y_train"][:3000]), batch_size=50, shuffle=False)
val_dl = DataLoader(FolderDigits(d["x_test"], d["y_test"]), batch_size=250, shuffle=False)

model = nn.Sequential(nn.Flatten(), nn.Linear(784, 96), nn.ReLU(), nn.Linear(96, 10))
optimizer = torch.optim.RMSprop(model.parameters(), lr=5e-4)
criterion = nn.CrossEntropyLoss()

for epoch in range(6):
    model.train()
    total = 0.0
    for xb, yb in train_dl:
        optimizer.zero_grad()
        loss = criterion(model(xb), yb)
        loss.backward()
        optimizer.step()
        total += loss.item()
    model.eval()
    correct = 0
    with torch.no_grad():
        for xb, yb in val_dl:
            correct += (model(xb).argmax(1) == yb).sum().item()
    print(f"epoch {epoch}: train loss {total / len(train_dl):.4f}, val accuracy {correct / len(val_dl.dataset):.4f}")
