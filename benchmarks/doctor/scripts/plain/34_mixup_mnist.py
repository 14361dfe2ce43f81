import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(3)
np.random.seed(3)

d = np.load("data/mnist.npz")
to_x = lambda a: (torch.from_numpy(a).float().unsqueeze(1) / 255 - 0.1307) / 0.3081
train_ds = TensorDataset(to_x(d["x_train"][:10000]), torch.from_numpy(d["y_train"][:10000]).long())
test_ds = TensorDataset(to_x(d["x_test"][:3000]), torch.from_numpy(d["y_test"][:3000]).long())
train_dl = DataLoader(train_ds, batch_size=64, shuffle=True)
test_dl = DataLoader(test_ds, batch_size=500)


class SmallCNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 12, 5, stride=2, padding=2)
        self.c2 = nn.Conv2d(12, 24, 3, stride=2, padding=1)
        self.fc = nn.Linear(24 * 49, 10)

    def forward(self, x):
        x = F.relu(self.c1(x))
        x = F.relu(self.c2(x))
        return self.fc(x.flatten(1))


def mixup(x, y, alpha=0.2):
    lam = np.random.beta(alpha, alpha)
    index = torch.randperm(x.size(0))
    return lam * x + (1 - lam) * x[index], y, y[index], lam


model = SmallCNN()
opt = torch.optim.Adam(model.parameters(), lr=4e-3)
for epoch in range(5):
    model.train()
    tot = 0.0
    for x, y in train_dl:
        mixed, ya, yb, lam = mixup(x, y)
        out = model(mixed)
        loss = lam * F.cross_entropy(out, ya) + (1 - lam) * F.cross_entropy(out, yb)
        opt.zero_grad()
        loss.backward()
        opt.step()
        tot += loss.item()
    model.eval()
    with torch.no_grad():
        outs = [(model(x), y) for x, y in test_dl]
    logits, ys = torch.cat([o for o, _ in outs]), torch.cat([y for _, y in outs])
    print(f"epoch {epoch + 1}: mixup loss {tot / len(train_dl):.4f} test loss {F.cross_entropy(logits, ys):.4f} "
          f"test acc {(logits.argmax(1) == ys).float().mean():.4f}")
