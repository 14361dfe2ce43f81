import copy

import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.utils.data import DataLoader, TensorDataset

KEEP_PROB = 0.8
cfg = dict(seed=14, lr=2e-3, batch=32, epochs=20, channels=32, dropout=KEEP_PROB, patience=8)


class RowConv(nn.Module):
    """Treats an 8x8 digit as a sequence of 8 rows."""

    def __init__(self, channels, dropout):
        super().__init__()
        self.conv1 = nn.Conv1d(8, channels, 3, padding=1)
        self.conv2 = nn.Conv1d(channels, channels, 3, padding=1)
        self.fc1 = nn.Linear(channels * 8, 64)
        self.fc2 = nn.Linear(64, 10)
        self.drop = nn.Dropout(dropout)

    def forward(self, x):
        x = self.drop(torch.relu(self.conv1(x)))
        x = self.drop(torch.relu(self.conv2(x)))
        x = self.drop(torch.relu(self.fc1(x.flatten(1))))
        return self.fc2(x)


def run_epoch(model, loader, criterion, opt=None):
    model.train(opt is not None)
    loss_sum, hits, n = 0.0, 0, 0
    with torch.set_grad_enabled(opt is not None):
        for x, y in loader:
            out = model(x)
            loss = criterion(out, y)
            if opt is not None:
                opt.zero_grad()
                loss.backward()
                opt.step()
            loss_sum += loss.item() * len(y)
            hits += (out.argmax(1) == y).sum().item()
            n += len(y)
    return loss_sum / n, hits / n


def main():
    torch.manual_seed(cfg["seed"])
    X, y = load_digits(return_X_y=True)
    X = torch.tensor(X, dtype=torch.float32).view(-1, 8, 8) / 8 - 1
    y = torch.tensor(y)
    idx, test_idx = train_test_split(range(len(y)), test_size=400, stratify=y, random_state=0)
    tr_idx, va_idx = train_test_split(idx, test_size=300, stratify=y[idx], random_state=0)
    train = DataLoader(TensorDataset(X[tr_idx], y[tr_idx]), cfg["batch"], shuffle=True)
    valid = DataLoader(TensorDataset(X[va_idx], y[va_idx]), 300)
    test = DataLoader(TensorDataset(X[test_idx], y[test_idx]), 400)

    model = RowConv(cfg["channels"], cfg["dropout"])
    opt = torch.optim.Adam(model.parameters(), lr=cfg["lr"])
    criterion = nn.CrossEntropyLoss()
    best, best_model, bad = 1e9, None, 0
    for epoch in range(cfg["epochs"]):
        tr = run_epoch(model, train, criterion, opt)
        va = run_epoch(model, valid, criterion)
        if va[0] < best:
            best, best_model, bad = va[0], copy.deepcopy(model), 0
        else:
            bad += 1
        if epoch % 4 == 0:
            print(f"{epoch:3d} train {tr[0]:.3f}/{tr[1]:.3f} valid {va[0]:.3f}/{va[1]:.3f}")
        if bad >= cfg["patience"]:
            break
    print("test loss/acc: %.4f %.3f" % run_epoch(best_model, test, criterion))


main()
