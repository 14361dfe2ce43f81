# deeper perceptron on shrunken MNIST
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

SEED = 4
torch.manual_seed(SEED)
raw = np.load("embedded/mnist_5k_1k.npz")


def shrink(a):
    t = F.avg_pool2d(torch.as_tensor(a, dtype=torch.float32)[:, None] / 255.0, 2).flatten(1)
    return (t - 0.13) / 0.28


Xtr, ytr = shrink(raw["x_train"]), torch.as_tensor(raw["y_train"].astype("int64"))
Xte, yte = shrink(raw["x_test"]), torch.as_tensor(raw["y_test"].astype("int64"))


class MLP(nn.Module):
    def __init__(self, sizes=(196, 100, 100, 100, 10)):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes[:-1], sizes[1:]))
        self.reset()

    def reset(self):
        for layer in self.layers:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)

    def forward(self, x):
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        return self.layers[-1](x)


model = MLP()
opt = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.5)
for epoch in range(7):
    order = torch.randperm(len(Xtr))
    losses = []
    for k in range(0, len(Xtr), 100):
        pick = order[k:k + 100]
        opt.zero_grad()
        loss = F.cross_entropy(model(Xtr[pick]), ytr[pick])
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), max_norm=0.01)
        opt.step()
        losses.append(loss.item())
    with torch.inference_mode():
        out = model(Xte)
        vloss, vacc = F.cross_entropy(out, yte).item(), (out.argmax(1) == yte).double().mean().item()
    print(f"{epoch:3d} | train loss {np.mean(losses):.4f} | test loss {vloss:.4f} | test acc {vacc:.4f}")
