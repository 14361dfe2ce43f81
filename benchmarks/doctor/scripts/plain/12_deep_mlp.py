"""How deep can a plain perceptron go? MNIST, eight hidden layers."""
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(8)
z = np.load("data/mnist.npz")


def tensors(split, n):
    x = torch.from_numpy(z["x_" + split][:n].reshape(n, -1)).float() / 255
    return TensorDataset((x - 0.1307) / 0.3081, torch.from_numpy(z["y_" + split][:n]).long())


class DeepMLP(nn.Module):
    def __init__(self, width=64, depth=8, act=nn.Sigmoid):
        super().__init__()
        layers = [nn.Linear(784, width), act()]
        for _ in range(depth - 1):
            layers += [nn.Linear(width, width), act()]
        self.body = nn.Sequential(*layers)
        self.out = nn.Linear(width, 10)

    def forward(self, x):
        return self.out(self.body(x))


def run_epoch(model, loader, loss_fn, opt=None):
    model.train(opt is not None)
    loss_sum, hits, n = 0.0, 0, 0
    with torch.set_grad_enabled(opt is not None):
        for x, y in loader:
            out = model(x)
            loss = loss_fn(out, y)
            if opt is not None:
                opt.zero_grad()
                loss.backward()
                opt.step()
            loss_sum += loss.item() * len(y)
            hits += (out.argmax(1) == y).sum().item()
            n += len(y)
    return loss_sum / n, hits / n


train_loader = DataLoader(tensors("train", 15000), batch_size=64, shuffle=True)
test_loader = DataLoader(tensors("test", 3000), batch_size=500)
model = DeepMLP()
opt = torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.9)
loss_fn = nn.CrossEntropyLoss()
for epoch in range(5):
    tr = run_epoch(model, train_loader, loss_fn, opt)
    te = run_epoch(model, test_loader, loss_fn)
    print(f"epoch {epoch}: train loss {tr[0]:.3f} acc {tr[1]:.3f} | test loss {te[0]:.3f} acc {te[1]:.3f}")
