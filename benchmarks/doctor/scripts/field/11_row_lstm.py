import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

SEED, EPOCHS, BATCH, LR = 17, 5, 64, 0.1
torch.manual_seed(SEED)


class RowLSTM(nn.Module):
    """Reads an image row by row, as a sequence of 28 vectors."""

    def __init__(self, hidden=48, classes=10):
        super().__init__()
        self.lstm = nn.LSTM(28, hidden, batch_first=True)
        self.fc = nn.Linear(hidden, classes)

    def forward(self, x):
        _, (h, _) = self.lstm(x)
        return self.fc(h[-1])


def dataset(part, mean, std):
    z = np.load("embedded/mnist_5k_1k.npz")
    x = torch.as_tensor(z[f"x_{part}"], dtype=torch.float32).div(255).sub(mean).div(std)
    return TensorDataset(x, torch.as_tensor(z[f"y_{part}"], dtype=torch.long))


train_dl = DataLoader(dataset("train", 0.1307, 0.3081), batch_size=BATCH, shuffle=True,
                      drop_last=True)
test_dl = DataLoader(dataset("test", 0.1307, 0.3081), batch_size=250)

model = RowLSTM()
loss_func = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=LR)
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=3, gamma=0.3)


def train_one_epoch(epoch):
    model.train()
    for i, (x, y) in enumerate(train_dl, 1):
        optimizer.zero_grad()
        loss = loss_func(model(x), y)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        if i % 39 == 0:
            print(f"  epoch {epoch} batch {i}/{len(train_dl)} loss {loss.item():.4f}")


def evaluate():
    model.eval()
    right = total = 0
    with torch.inference_mode():
        for x, y in test_dl:
            right += (model(x).argmax(dim=1) == y).sum().item()
            total += y.numel()
    return right / total


for epoch in range(1, EPOCHS + 1):
    train_one_epoch(epoch)
    scheduler.step()
    print(f"epoch {epoch} test accuracy {evaluate():.4f}")
