import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(24)
fm = np.load("embedded/fashion_mnist_5k_1k.npz")
to = lambda a: (torch.tensor(a)[:, None].float() / 255 - 0.286) / 0.353
X, Y = to(fm["x_train"][:3000]), torch.tensor(fm["y_train"][:3000]).long()
XV, YV = to(fm["x_test"]), torch.tensor(fm["y_test"]).long()


class CNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, stride=2, padding=1)
        self.conv2 = nn.Conv2d(8, 16, 3, stride=2, padding=1)
        self.fc1 = nn.Linear(16 * 49, 64)
        self.fc2 = nn.Linear(64, 10)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = F.relu(self.conv2(x))
        x = F.relu(self.fc1(x.flatten(1)))
        return self.fc2(x)


model = CNN()
optimizer = torch.optim.AdamW(model.parameters(), lr=0.03, weight_decay=1e-2)


def validate():
    model.eval()
    with torch.no_grad():
        out = model(XV)
    return F.cross_entropy(out, YV).item(), (out.argmax(1) == YV).float().mean().item()


for epoch in range(6):
    model.train()
    losses = []
    for idx in torch.randperm(len(X)).split(50):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(X[idx]), Y[idx])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    vl, va = validate()
    print(f"epoch {epoch:02d} | train {np.mean(losses):.4f} | val {vl:.4f} | acc {va:.4f}")
