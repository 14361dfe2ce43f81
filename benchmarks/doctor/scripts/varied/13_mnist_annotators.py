import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(13)
rng = np.random.default_rng(13)
z = np.load("embedded/mnist_5k_1k.npz")
x_train = (torch.tensor(z["x_train"][:4000]).float() / 255 - 0.13) / 0.31
x_val = (torch.tensor(z["x_test"]).float() / 255 - 0.13) / 0.31
expert = z["y_train"][:4000].astype(np.int64)
second = rng.integers(0, 10, size=len(expert))
by_expert = rng.random(len(expert)) < 0.6
y_train = torch.tensor(np.where(by_expert, expert, second))
y_val = torch.tensor(z["y_test"].astype(np.int64))

model = nn.Sequential(
    nn.Flatten(),
    nn.Linear(784, 128), nn.ReLU(),
    nn.Linear(128, 10),
)
opt = torch.optim.Adam(model.parameters(), lr=1e-3)
for epoch in range(12):
    model.train()
    perm = torch.randperm(len(x_train))
    tl = 0.0
    for k in range(0, len(perm), 64):
        b = perm[k:k + 64]
        loss = F.cross_entropy(model(x_train[b]), y_train[b])
        opt.zero_grad()
        loss.backward()
        opt.step()
        tl += loss.item() * len(b)
    model.eval()
    with torch.no_grad():
        o = model(x_val)
    print("epoch", epoch, "train", round(tl / len(perm), 4), "val", round(F.cross_entropy(o, y_val).item(), 4),
          "acc", round((o.argmax(1) == y_val).float().mean().item(), 4))
