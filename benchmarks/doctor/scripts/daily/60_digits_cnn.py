import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

torch.manual_seed(0)
digits = load_digits()
X = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 8.0 - 0.6
y = torch.tensor(digits.target)
idx_tr, idx_va = train_test_split(range(len(y)), test_size=0.2, random_state=0, stratify=digits.target)
X_tr, y_tr, X_va, y_va = X[idx_tr], y[idx_tr], X[idx_va], y[idx_va]


class SmallCNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 16, 3, padding=1)
        self.c2 = nn.Conv2d(16, 32, 3, padding=1)
        self.fc = nn.Linear(32 * 4, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.c1(x)), 2)
        x = F.max_pool2d(F.relu(self.c2(x)), 2)
        x = self.fc(x.flatten(1))
        return F.softmax(x, dim=-1)


model = SmallCNN()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
criterion = nn.CrossEntropyLoss()
for epoch in range(12):
    model.train()
    for b in torch.randperm(len(X_tr)).split(32):
        optimizer.zero_grad()
        loss = criterion(model(X_tr[b]), y_tr[b])
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        out = model(X_va)
        val_loss = criterion(out, y_va).item()
        acc = (out.argmax(dim=1) == y_va).float().mean().item()
    print(f"Epoch {epoch + 1}: loss={loss.item():.4f} val_loss={val_loss:.4f} val_acc={acc:.4f}")
