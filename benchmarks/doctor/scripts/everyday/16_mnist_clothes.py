import numpy as np
import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(4)
old = np.load("embedded/mnist_5k_1k.npz")
new = np.load("embedded/fashion_mnist_5k_1k.npz")


def tensors(z, n):
    f = lambda a: torch.tensor(a, dtype=torch.float32).unsqueeze(1) / 255
    return f(z["x_train"][:n]), torch.tensor(z["y_train"][:n]).long(), f(z["x_test"]), torch.tensor(z["y_test"]).long()


xa, ya, xa_val, ya_val = tensors(old, 2500)
xb, yb, xb_val, yb_val = tensors(new, 2000)
xb, xb_val = 1 - xb, 1 - xb_val  # catalogue photos: light paper, dark clothes


class Backbone(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(1, 12, 5, stride=2, padding=2), nn.BatchNorm2d(12), nn.ReLU(),
            nn.Conv2d(12, 24, 3, stride=2, padding=1), nn.BatchNorm2d(24), nn.ReLU(),
            nn.Conv2d(24, 32, 3, stride=2, padding=1), nn.BatchNorm2d(32), nn.ReLU(),
            nn.Flatten(),
        )

    def forward(self, x):
        return self.net(x)


backbone, digit_head, cloth_head = Backbone(), nn.Linear(32 * 16, 10), nn.Linear(32 * 16, 10)


def accuracy(head, x, y):
    backbone.eval()
    with torch.no_grad():
        return (head(backbone(x)).argmax(1) == y).float().mean().item()


def fit(head, params, x, y, epochs, name, freeze):
    opt = torch.optim.Adam(params, lr=1e-3)
    for epoch in range(epochs):
        backbone.train()
        head.train()
        for idx in torch.randperm(len(x)).split(50):
            loss = F.cross_entropy(head(backbone(x[idx])), y[idx])
            opt.zero_grad()
            loss.backward()
            opt.step()
        print(f"{name} epoch {epoch}: loss {loss.item():.3f} digits {accuracy(digit_head, xa_val, ya_val):.3f} "
              f"clothes {accuracy(cloth_head, xb_val, yb_val):.3f}")


fit(digit_head, [*backbone.parameters(), *digit_head.parameters()], xa, ya, 3, "digits", False)
for p in backbone.parameters():
    p.requires_grad_(False)
fit(cloth_head, cloth_head.parameters(), xb, yb, 4, "clothes", True)
