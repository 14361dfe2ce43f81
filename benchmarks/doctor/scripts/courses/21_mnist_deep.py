import numpy as np
import torch
import torch.nn as nn

torch.manual_seed(14)
data = np.load("embedded/mnist_5k_1k.npz")
pool = lambda a: torch.tensor(a, dtype=torch.float32).div(255).unsqueeze(1)
down = nn.AvgPool2d(2)
Xtr = down(pool(data["x_train"])).flatten(1)
Xte = down(pool(data["x_test"])).flatten(1)
mean, std = Xtr.mean(), Xtr.std()
Xtr, Xte = (Xtr - mean) / std, (Xte - mean) / std
ytr, yte = torch.tensor(data["y_train"]).long(), torch.tensor(data["y_test"]).long()

DEPTH, WIDTH = 8, 64
layers = []
sizes = [196] + [WIDTH] * DEPTH
for a, b in zip(sizes, sizes[1:]):
    lin = nn.Linear(a, b)
    nn.init.xavier_normal_(lin.weight)
    layers += [lin, nn.Sigmoid()]
layers.append(nn.Linear(WIDTH, 10))
model = nn.Sequential(*layers)

optimizer = torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.9)
loss_fn = nn.CrossEntropyLoss()
for epoch in range(8):
    model.train()
    total = 0.0
    perm = torch.randperm(len(Xtr))
    for i in range(0, len(perm), 64):
        idx = perm[i:i + 64]
        loss = loss_fn(model(Xtr[idx]), ytr[idx])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(idx)
    model.eval()
    with torch.no_grad():
        acc = (model(Xte).argmax(1) == yte).float().mean().item()
    print(f"epoch {epoch + 1} loss {total / len(Xtr):.4f} test acc {acc:.4f}")
