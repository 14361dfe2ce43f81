import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(5)
d = np.load("embedded/mnist_5k_1k.npz")
norm = lambda a: (torch.as_tensor(a, dtype=torch.float32)[:, None] / 255.0 - 0.1307) / 0.3081
train_dl = DataLoader(TensorDataset(norm(d["x_train"][:3000]), torch.as_tensor(d["y_train"][:3000]).long()), 50, shuffle=True)
xv, yv = norm(d["x_test"]), torch.as_tensor(d["y_test"]).long()


class Encoder(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 8, 3, stride=2, padding=1), nn.ReLU(),
            nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.ReLU(),
            nn.Flatten(), nn.Linear(16 * 49, dim), nn.ReLU(),
        )

    def forward(self, x):
        return self.body(x)


class Classifier(nn.Module):
    def __init__(self, dim=24):
        super().__init__()
        self.encoder = Encoder(dim)
        self.head = nn.Sequential(nn.Linear(dim, 32), nn.ReLU(), nn.Linear(32, 10))

    def forward(self, x):
        h = self.encoder(x).detach()
        return self.head(h)


model = Classifier()
opt = torch.optim.Adam(model.parameters(), lr=1e-3)
loss_fn = nn.CrossEntropyLoss()

for ep in range(6):
    model.train()
    tot = 0.0
    for x, y in train_dl:
        opt.zero_grad()
        loss = loss_fn(model(x), y)
        loss.backward()
        opt.step()
        tot += loss.item()
    model.eval()
    with torch.no_grad():
        acc = (model(xv).argmax(1) == yv).float().mean().item()
    print(f"ep {ep + 1}  train {tot / len(train_dl):.4f}  val acc {acc:.4f}")
