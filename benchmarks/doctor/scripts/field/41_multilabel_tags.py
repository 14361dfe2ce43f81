import numpy as np
import torch
import torch.nn as nn
from sklearn.datasets import make_multilabel_classification
from sklearn.metrics import f1_score
from sklearn.model_selection import train_test_split
from torch.utils.data import DataLoader, TensorDataset


class Tagger(nn.Module):
    def __init__(self, n_words, n_tags, hidden=96):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(n_words, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Dropout(0.3),
            nn.Linear(hidden, hidden), nn.BatchNorm1d(hidden), nn.ReLU(),
            nn.Linear(hidden, n_tags),
            nn.Sigmoid(),
        )

    def forward(self, x):
        return self.net(x)


class Runner:
    accumulate = 2

    def __init__(self, model, train, valid, lr=2e-3):
        self.model, self.train_set, self.valid_set = model, train, valid
        self.loader = DataLoader(train, batch_size=32, shuffle=True, drop_last=True)
        self.criterion = nn.BCEWithLogitsLoss()
        self.opt = torch.optim.Adam(model.parameters(), lr=lr)

    def epoch(self):
        self.model.train()
        total = 0.0
        for i, (x, y) in enumerate(self.loader):
            loss = self.criterion(self.model(x), y)
            (loss / self.accumulate).backward()
            if (i + 1) % self.accumulate == 0:
                self.opt.step()
                self.opt.zero_grad()
            total += loss.item()
        return total / len(self.loader)

    @torch.no_grad()
    def validate(self):
        self.model.eval()
        x, y = self.valid_set.tensors
        out = self.model(x)
        loss = self.criterion(out, y).item()
        pred = out > 0.5
        return loss, f1_score(y.numpy(), pred.numpy(), average="macro", zero_division=0)


def main():
    torch.manual_seed(6)
    X, Y = make_multilabel_classification(n_samples=5000, n_features=80, n_classes=12, n_labels=2,
                                          length=60, allow_unlabeled=False, random_state=6)
    X = np.log1p(X)
    a, b, ya, yb = train_test_split(X, Y, test_size=0.2, random_state=6)
    m, s = a.mean(0), a.std(0)
    as_ds = lambda x, y: TensorDataset(torch.tensor((x - m) / s, dtype=torch.float32), torch.tensor(y, dtype=torch.float32))
    runner = Runner(Tagger(80, 12), as_ds(a, ya), as_ds(b, yb))
    print("tag frequency", np.round(ya.mean(0), 2))
    for ep in range(8):
        train_loss = runner.epoch()
        if ep % 2 == 1:
            loss, f1 = runner.validate()
            print(f"epoch {ep + 1}: train {train_loss:.4f} valid {loss:.4f} macro-F1 {f1:.3f}")


main()
