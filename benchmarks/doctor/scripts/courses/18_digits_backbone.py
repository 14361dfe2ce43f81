"""Small encoder with a linear classifier on the 8x8 digits."""
import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(12)
X, y = load_digits(return_X_y=True)
X = (X - 4.9) / 6.0
xa, xb, ya, yb = train_test_split(X, y, test_size=0.25, stratify=y, random_state=12)
to = lambda a, t: torch.tensor(a, dtype=t)
train = DataLoader(TensorDataset(to(xa, torch.float32), to(ya, torch.long)), batch_size=32, shuffle=True)
test = DataLoader(TensorDataset(to(xb, torch.float32), to(yb, torch.long)), batch_size=450)


class Encoder(nn.Module):
    def __init__(self, d=12):
        super().__init__()
        self.stem = nn.Linear(64, d)
        self.layers = nn.ModuleList([nn.Linear(d, d) for _ in range(3)])

    def forward(self, x):
        h = self.stem(x)
        for layer in self.layers:
            h = torch.relu(layer(h))
        return h


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = Encoder()
        self.classifier = nn.Linear(12, 10)

    def forward(self, x):
        return self.classifier(self.encoder(x))


model = Classifier()
for name, p in model.named_parameters():
    if not name.startswith("classifier"):
        p.requires_grad = False
optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=5e-3)
criterion = nn.CrossEntropyLoss()

for epoch in range(1, 16):
    model.train()
    seen, total = 0, 0.0
    for x, t in train:
        optimizer.zero_grad()
        loss = criterion(model(x), t)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(t)
        seen += len(t)
    model.eval()
    with torch.no_grad():
        correct = sum((model(x).argmax(1) == t).sum().item() for x, t in test)
    print(f"[{epoch:02d}] train loss {total / seen:.3f} | test accuracy {correct / 450:.3f}")
