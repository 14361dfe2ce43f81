"""Link quality (good / fair / bad) from noisy telemetry."""
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset, random_split

torch.manual_seed(18)
N = 1800
state = torch.randn(N, 4)
score = state[:, 0] + 0.8 * torch.tanh(2 * state[:, 1]) - 0.5 * state[:, 2] * state[:, 3] + 0.5 * torch.randn(N)
target = (score > -0.6).long() + (score > 0.6).long()
mix = torch.randn(4, 12) / 2
x = state @ mix + 0.3 * torch.randn(N, 12)
x = (x - x.mean(0)) / x.std(0)
train_ds, val_ds = random_split(TensorDataset(x, target), [1300, 500], generator=torch.Generator().manual_seed(1))
train_dl = DataLoader(train_ds, shuffle=True)
val_dl = DataLoader(val_ds, batch_size=500)

model = nn.Sequential(nn.Linear(12, 40), nn.ReLU(), nn.Linear(40, 20), nn.ReLU(), nn.Linear(20, 3))
optimizer = torch.optim.SGD(model.parameters(), lr=0.008, momentum=0.9)
loss_fn = nn.CrossEntropyLoss()
for epoch in range(3):
    model.train()
    total = 0.0
    for xb, yb in train_dl:
        optimizer.zero_grad()
        loss = loss_fn(model(xb), yb)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(yb)
    model.eval()
    with torch.no_grad():
        for xb, yb in val_dl:
            out = model(xb)
            acc = (out.argmax(1) == yb).float().mean().item()
            vl = loss_fn(out, yb).item()
    print(f"epoch {epoch}: train {total / 1300:.4f} val {vl:.4f} acc {acc:.3f}")
