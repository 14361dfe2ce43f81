import numpy as np
import torch
from torch import nn

torch.manual_seed(0)
data = np.load("embedded/mnist_5k_1k.npz")
xt = torch.tensor(data["x_train"], dtype=torch.float32).view(-1, 784).div(255).sub(0.1307).div(0.3081)
xv = torch.tensor(data["x_test"], dtype=torch.float32).view(-1, 784).div(255).sub(0.1307).div(0.3081)
yt, yv = torch.tensor(data["y_train"]).long(), torch.tensor(data["y_test"]).long()


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.a = nn.Linear(width, width)
        self.b = nn.Linear(width, width)
        for m in (self.a, self.b):
            nn.init.kaiming_normal_(m.weight)
            nn.init.zeros_(m.bias)

    def forward(self, x):
        return x + 1.5 * self.b(torch.relu(self.a(torch.relu(x))))


class DeepNet(nn.Module):
    def __init__(self, width=64, depth=10):
        super().__init__()
        self.stem = nn.Linear(784, width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(depth))
        self.out = nn.Linear(width, 10)

    def forward(self, x):
        x = self.stem(x)
        for blk in self.blocks:
            x = blk(x)
        return self.out(x)


model = DeepNet()
loss_fn = nn.CrossEntropyLoss()
opt = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-2)
for epoch in range(5):
    model.train()
    total = 0.0
    order = torch.randperm(len(xt))
    for s in range(0, len(xt), 100):
        b = order[s:s + 100]
        loss = loss_fn(model(xt[b]), yt[b])
        opt.zero_grad()
        loss.backward()
        opt.step()
        total += loss.item() * len(b)
    model.eval()
    with torch.no_grad():
        out = model(xv)
    print(f"epoch {epoch} train {total / len(xt):.4f} val {loss_fn(out, yv).item():.4f} acc {(out.argmax(1) == yv).float().mean().item():.4f}")
