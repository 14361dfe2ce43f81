import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(8)
f = np.load("embedded/mnist_5k_1k.npz")
norm = lambda a: (torch.from_numpy(a).float().flatten(1) / 255 - 0.1307) / 0.3081
train = TensorDataset(norm(f["x_train"]), torch.from_numpy(f["y_train"]).long())
xv, yv = norm(f["x_test"]), torch.from_numpy(f["y_test"]).long()


class DeepNet(nn.Module):
    def __init__(self, width=64, depth=12):
        super().__init__()
        sizes = [784] + [width] * depth
        self.hidden = nn.ModuleList([nn.Linear(a, b) for a, b in zip(sizes, sizes[1:])])
        self.out = nn.Linear(width, 10)
        for layer in self.hidden:
            nn.init.normal_(layer.weight, std=0.22)
            nn.init.zeros_(layer.bias)

    def forward(self, x):
        for layer in self.hidden:
            x = torch.relu(layer(x))
        return self.out(x)


model = DeepNet()
optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
loader = DataLoader(train, batch_size=64, shuffle=True)
for epoch in range(4):
    model.train()
    losses = []
    for xb, yb in loader:
        loss = F.cross_entropy(model(xb), yb)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    model.eval()
    with torch.no_grad():
        acc = (model(xv).argmax(1) == yv).float().mean().item()
    print(f"epoch {epoch + 1} loss {np.mean(losses):.3f} val acc {acc:.3f}")
