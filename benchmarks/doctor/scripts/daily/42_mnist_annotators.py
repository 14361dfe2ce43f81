# Annotators disagree on one picture in eight; label smoothing, clean test labels
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(4)
d = np.load("embedded/mnist_5k_1k.npz")
to_x = lambda a: (torch.tensor(a, dtype=torch.float32).unsqueeze(1) / 255 - 0.1307) / 0.3081
X, y = to_x(d["x_train"]), torch.tensor(d["y_train"]).long()
Xt, yt = to_x(d["x_test"]), torch.tensor(d["y_test"]).long()
careless = torch.rand(len(y)) < 0.125
y = torch.where(careless, torch.randint(10, y.shape), y)
loader = DataLoader(TensorDataset(X, y), batch_size=64, shuffle=True)

model = nn.Sequential(
    nn.Conv2d(1, 8, 5, stride=2), nn.ReLU(), nn.Conv2d(8, 16, 5, stride=2), nn.ReLU(),
    nn.Flatten(), nn.Dropout(0.3), nn.Linear(256, 10))
opt = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.05)
sched = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=8e-3, total_steps=6 * len(loader))
train_loss = nn.CrossEntropyLoss(label_smoothing=0.1)
val_loss = nn.CrossEntropyLoss()
for epoch in range(6):
    model.train()
    run = 0.0
    for xb, yb in loader:
        opt.zero_grad()
        loss = train_loss(model(xb), yb)
        loss.backward()
        opt.step()
        sched.step()
        run += loss.item()
    model.eval()
    with torch.no_grad():
        out = model(Xt)
    print(f"epoch {epoch} train {run / len(loader):.4f} val {val_loss(out, yt):.4f} acc {(out.argmax(1) == yt).float().mean():.4f}")
