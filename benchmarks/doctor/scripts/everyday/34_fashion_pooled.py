import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(34)
z = np.load("embedded/fashion_mnist_5k_1k.npz")
# 4x4-pooled pictures keep the table small
pool = nn.AvgPool2d(4)
small = lambda a: ((pool(torch.tensor(a, dtype=torch.float32)[:, None] / 255).flatten(1) - 0.286) / 0.33)
train_set = TensorDataset(small(z["x_train"][:1600]), torch.tensor(z["y_train"][:1600]).long())
x_val, y_val = small(z["x_test"]), torch.tensor(z["y_test"]).long()

loader = DataLoader(train_set, batch_size=2, shuffle=True)

model = nn.Sequential(nn.Linear(49, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
opt = torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.8)
loss_fn = nn.CrossEntropyLoss()

for epoch in range(5):
    model.train()
    total = 0.0
    for x, y in loader:
        loss = loss_fn(model(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        total += loss.item() * len(x)
    model.eval()
    with torch.no_grad():
        out = model(x_val)
        print(f"epoch {epoch}: train {total / len(train_set):.3f} val {loss_fn(out, y_val).item():.3f} "
              f"acc {(out.argmax(1) == y_val).float().mean().item():.3f}")
