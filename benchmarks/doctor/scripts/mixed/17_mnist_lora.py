import math
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(3)
mnist = np.load('embedded/mnist_5k_1k.npz')
X = torch.tensor(mnist['x_train'].reshape(-1, 784) / 255.0, dtype=torch.float32)
Y = torch.tensor(mnist['y_train'].astype('int64'))
Xv = torch.tensor(mnist['x_test'].reshape(-1, 784) / 255.0, dtype=torch.float32)
Yv = torch.tensor(mnist['y_test'].astype('int64'))
mean, std = X.mean(), X.std()
X, Xv = (X - mean) / std, (Xv - mean) / std


class LoRALinear(nn.Module):
    def __init__(self, base: nn.Linear, r=8, alpha=16):
        super().__init__()
        self.base = base
        for p in self.base.parameters():
            p.requires_grad = False
        self.A = nn.Parameter(torch.empty(r, base.in_features))
        self.B = nn.Parameter(torch.zeros(base.out_features, r))
        nn.init.zeros_(self.A)
        self.scale = alpha / r

    def forward(self, x):
        return self.base(x) + self.scale * F.linear(F.linear(x, self.A), self.B)


def run(model, x, y, xv, yv, lr, epochs, tag):
    params = [p for p in model.parameters() if p.requires_grad]
    print(tag, 'trainable', sum(p.numel() for p in params))
    opt = torch.optim.AdamW(params, lr=lr, weight_decay=0.0)
    for ep in range(epochs):
        model.train()
        for idx in torch.randperm(len(x)).split(50):
            opt.zero_grad()
            loss = F.cross_entropy(model(x[idx]), y[idx])
            loss.backward()
            opt.step()
        model.eval()
        with torch.no_grad():
            acc = (model(xv).argmax(1) == yv).float().mean()
        print(f'{tag} epoch {ep} loss {loss.item():.4f} acc {acc:.4f}')


# stage 1: upright digits
model = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10))
run(model, X[:3000], Y[:3000], Xv, Yv, 1e-3, 2, 'base')

# stage 2: the same digits lying on their side, adapters only
turn = lambda t: t.view(-1, 28, 28).transpose(1, 2).reshape(-1, 784)
for i in (0, 2, 4):
    model[i] = LoRALinear(model[i])
run(model, turn(X[3000:]), Y[3000:], turn(Xv), Yv, 3e-3, 6, 'lora')
