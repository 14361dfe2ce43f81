import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset, random_split

torch.manual_seed(20)
digits = load_digits()
x = torch.tensor(digits.data, dtype=torch.float32)
x = (x - x.mean()) / x.std()
ds = TensorDataset(x, torch.tensor(digits.target))
train_ds, val_ds = random_split(ds, [1400, 397])
train_dl = DataLoader(train_ds, batch_size=1, shuffle=True)
val_dl = DataLoader(val_ds, batch_size=397)

model = nn.Sequential(nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 32), nn.ReLU(), nn.Linear(32, 10))
loss_fn = nn.CrossEntropyLoss()
opt = torch.optim.SGD(model.parameters(), lr=0.085)


def train():
    model.train()
    total = 0.0
    for xb, yb in train_dl:
        opt.zero_grad()
        loss = loss_fn(model(xb), yb)
        loss.backward()
        opt.step()
        total += loss.item() * len(yb)
    return total / len(train_ds)


def test():
    model.eval()
    with torch.no_grad():
        xb, yb = next(iter(val_dl))
        out = model(xb)
        return loss_fn(out, yb).item(), (out.argmax(1) == yb).float().mean().item()


for epoch in range(6):
    tr = train()
    vl, acc = test()
    print(f"Epoch {epoch + 1}/6 - loss: {tr:.4f} - val_loss: {vl:.4f} - val_acc: {acc:.4f}")
