import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import Dataset, DataLoader

torch.manual_seed(0)
MEAN, STD = 0.286, 0.353


class Clothes(Dataset):
    def __init__(self, images, labels, train):
        self.images, self.labels, self.train = images, labels, train

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        img = torch.from_numpy(self.images[i]).float().unsqueeze(0)
        if self.train:
            if torch.rand(1).item() < 0.5:
                img = img.flip(-1)
            img = (img / 255 - MEAN) / STD
        else:
            img = img / 255
        return img, int(self.labels[i])


d = np.load("embedded/fashion_mnist_5k_1k.npz")
train_dl = DataLoader(Clothes(d["x_train"][:2500], d["y_train"][:2500], True), batch_size=64, shuffle=True)
test_dl = DataLoader(Clothes(d["x_test"], d["y_test"], False), batch_size=250)

model = nn.Sequential(
    nn.Conv2d(1, 8, 3, stride=2, padding=1), nn.ReLU(),
    nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.ReLU(),
    nn.Flatten(), nn.Linear(16 * 7 * 7, 64), nn.ReLU(), nn.Linear(64, 10))
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-2)
loss_fn = nn.CrossEntropyLoss()


def run_epoch(dl, learn):
    model.train(learn)
    loss_sum, right, n = 0.0, 0, 0
    with torch.set_grad_enabled(learn):
        for x, y in dl:
            out = model(x)
            loss = loss_fn(out, y)
            if learn:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            loss_sum += loss.item() * len(y)
            right += (out.argmax(1) == y).sum().item()
            n += len(y)
    return loss_sum / n, right / n


for epoch in range(1, 9):
    tl, ta = run_epoch(train_dl, True)
    vl, va = run_epoch(test_dl, False)
    print(f"epoch {epoch} | train {tl:.3f} / {ta:.3f} | test {vl:.3f} / {va:.3f}")
