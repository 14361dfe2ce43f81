import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(8)
z = np.load("embedded/fashion_mnist_5k_1k.npz")
flat = lambda a: torch.tensor(a.reshape(len(a), -1) / 255.0, dtype=torch.float32)
x, y = flat(z["x_train"]), torch.tensor(z["y_train"], dtype=torch.long)
xv, yv = flat(z["x_test"]), torch.tensor(z["y_test"], dtype=torch.long)
m, s = x.mean(), x.std()
x, xv = (x - m) / s, (xv - m) / s


def build():
    return nn.Sequential(nn.Linear(784, 100), nn.ReLU(), nn.Linear(100, 50), nn.ReLU(), nn.Linear(50, 10))


def main():
    model = build()
    loader = DataLoader(TensorDataset(x, y), batch_size=64, shuffle=True)
    opt = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9, weight_decay=0.1)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=8)
    ce = nn.CrossEntropyLoss()
    for epoch in range(8):
        model.train()
        run = 0.0
        for xb, yb in loader:
            opt.zero_grad()
            loss = ce(model(xb), yb)
            loss.backward()
            opt.step()
            run += loss.item()
        sched.step()
        model.eval()
        with torch.no_grad():
            out = model(xv)
        print(f"ep {epoch} loss {run / len(loader):.4f} val_loss {ce(out, yv):.4f} val_acc {(out.argmax(1) == yv).float().mean():.4f}")


if __name__ == "__main__":
    main()
