import numpy as np
import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(0)
with np.load("embedded/mnist_5k_1k.npz") as z:
    xt = torch.tensor((z["x_train"].reshape(-1, 784) / 255.0 - 0.13) / 0.31, dtype=torch.float32)
    yt = torch.tensor(z["y_train"].astype("int64"))
    xv = torch.tensor((z["x_test"].reshape(-1, 784) / 255.0 - 0.13) / 0.31, dtype=torch.float32)
    yv = torch.tensor(z["y_test"].astype("int64"))


def init_weights(m):
    if isinstance(m, nn.Linear):
        nn.init.normal_(m.weight, mean=0.0, std=1.0)
        nn.init.zeros_(m.bias)


class MLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(784, 128)
        self.fc2 = nn.Linear(128, 64)
        self.fc3 = nn.Linear(64, 10)
        self.apply(init_weights)

    def forward(self, x):
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x)))))


def train(model, opt):
    model.train()
    tot = 0.0
    for idx in torch.randperm(len(xt)).split(64):
        opt.zero_grad()
        loss = F.cross_entropy(model(xt[idx]), yt[idx])
        loss.backward()
        opt.step()
        tot += loss.item() * len(idx)
    return tot / len(xt)


@torch.no_grad()
def validate(model):
    model.eval()
    out = model(xv)
    return F.cross_entropy(out, yv).item(), (out.argmax(1) == yv).float().mean().item()


model = MLP()
opt = torch.optim.Adam(model.parameters(), lr=1e-3)
for epoch in range(7):
    loss = train(model, opt)
    vloss, vacc = validate(model)
    print(f"epoch {epoch} train {loss:.4f} val {vloss:.4f} acc {vacc:.4f}")
