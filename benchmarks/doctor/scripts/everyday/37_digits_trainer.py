import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler


class Trainer:
    def __init__(self, model, lr, epochs):
        self.model, self.epochs = model, epochs
        self.opt = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=1e-2)
        self.criterion = nn.CrossEntropyLoss()

    def step(self, x, y):
        self.opt.zero_grad()
        loss = self.criterion(self.model(x), y)
        loss.backward()
        self.opt.step()
        return loss.item()

    @torch.no_grad()
    def score(self, loader):
        self.model.eval()
        hits = sum((self.model(x).argmax(1) == y).sum().item() for x, y in loader)
        return hits / len(loader.dataset)

    def fit(self, train_loader, val_loader):
        for epoch in range(1, self.epochs + 1):
            self.model.train()
            losses = [self.step(x, y) for x, y in train_loader]
            print(f"epoch {epoch}: loss={sum(losses) / len(losses):.4f} val_acc={self.score(val_loader):.4f}")


torch.manual_seed(37)
X, y = load_digits(return_X_y=True)
X = StandardScaler().fit_transform(X)
Xa, Xb, ya, yb = train_test_split(X, y, test_size=0.2, random_state=37, stratify=y)
dl = lambda X, y, sh: DataLoader(TensorDataset(torch.tensor(X).float(), torch.tensor(y)), batch_size=32, shuffle=sh)

model = nn.Sequential(nn.Linear(64, 64), nn.GELU(), nn.Linear(64, 32), nn.GELU(), nn.Linear(32, 10))
Trainer(model, lr=2e-5, epochs=12).fit(dl(Xa, ya, True), dl(Xb, yb, False))
