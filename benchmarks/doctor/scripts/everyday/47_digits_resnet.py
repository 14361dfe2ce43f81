import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split
from sklearn.datasets import load_digits

torch.manual_seed(47)
X, y = load_digits(return_X_y=True)
X = torch.tensor(X, dtype=torch.float32) / 16
full = TensorDataset((X - X.mean()) / X.std(), torch.tensor(y))
train_set, val_set = random_split(full, [1400, len(full) - 1400], generator=torch.Generator().manual_seed(0))


class ResBlock(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, width)
        self.down = nn.Linear(width, width)
        # each block starts as the identity
        nn.init.zeros_(self.down.weight)
        nn.init.zeros_(self.down.bias)

    def forward(self, x):
        return x + self.down(nn.functional.gelu(self.up(self.norm(x))))


class ResMLP(nn.Module):
    def __init__(self, width=48, depth=8):
        super().__init__()
        self.inp = nn.Linear(64, width)
        self.blocks = nn.Sequential(*[ResBlock(width) for _ in range(depth)])
        self.out = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 10))

    def forward(self, x):
        return self.out(self.blocks(self.inp(x)))


model = ResMLP()
opt = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.05)
warm = torch.optim.lr_scheduler.LinearLR(opt, start_factor=0.05, total_iters=30)
ce = nn.CrossEntropyLoss()

for epoch in range(6):
    model.train()
    s = 0.0
    for xb, yb in DataLoader(train_set, batch_size=40, shuffle=True):
        loss = ce(model(xb), yb)
        opt.zero_grad()
        loss.backward()
        opt.step()
        warm.step()
        s += loss.item() * len(yb)
    model.eval()
    good = 0
    with torch.inference_mode():
        for xb, yb in DataLoader(val_set, batch_size=400):
            good += (model(xb).argmax(1) == yb).sum().item()
    print(f"epoch {epoch + 1}: train {s / 1400:.4f} val acc {good / len(val_set):.4f}")
