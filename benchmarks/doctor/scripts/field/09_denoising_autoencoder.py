import os
import tempfile

import numpy as np
import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(8)


class TiedAutoencoder(nn.Module):
    def __init__(self, d_in=784, d_hid=256, d_code=32):
        super().__init__()
        self.enc1, self.enc2 = nn.Linear(d_in, d_hid), nn.Linear(d_hid, d_code)
        self.b_hid = nn.Parameter(torch.zeros(d_hid))
        self.b_out = nn.Parameter(torch.zeros(d_in))

    def encode(self, x):
        return self.enc2(F.gelu(self.enc1(x)))

    def decode(self, code):
        h = F.gelu(F.linear(code, self.enc2.weight.t(), self.b_hid))
        return F.linear(h, self.enc1.weight.t(), self.b_out)

    def forward(self, x):
        return self.decode(self.encode(x))


def load():
    z = np.load("embedded/fashion_mnist_5k_1k.npz")
    train = torch.tensor(z["x_train"], dtype=torch.float32).flatten(1) / 255
    test = torch.tensor(z["x_test"], dtype=torch.float32).flatten(1) / 255
    mean = train.mean(0)
    return train - mean, test - mean


def corrupt(x, generator=None):
    noise = torch.randn(x.shape, generator=generator)
    return x + 0.2 * noise


train, test = load()
noisy_test = corrupt(test, torch.Generator().manual_seed(1))
model = TiedAutoencoder()
opt = torch.optim.Adam(model.parameters(), lr=1e-3)
plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(opt, factor=0.5, patience=1)
ckpt = os.path.join(tempfile.mkdtemp(), "dae.pt")

best = float("inf")
for epoch in range(1, 13):
    model.train()
    running = 0.0
    for idx in torch.randperm(len(train)).split(64):
        clean = train[idx]
        loss = F.mse_loss(model(corrupt(clean)), clean)
        opt.zero_grad(set_to_none=True)
        loss.backward()
        opt.step()
        running += loss.item() * len(idx)

    model.eval()
    with torch.no_grad():
        held_out = F.mse_loss(model(noisy_test), test).item()
    plateau.step(held_out)
    if held_out < best:
        best = held_out
        torch.save({"model": model.state_dict(), "epoch": epoch}, ckpt)
    print(f"epoch {epoch:2d}  train mse {running / len(train):.5f}  held-out mse {held_out:.5f}  "
          f"lr {opt.param_groups[0]['lr']:.1e}")

state = torch.load(ckpt)
model.load_state_dict(state["model"])
print(f"best epoch {state['epoch']}: {best:.5f}; "
      f"predicting the mean image: {test.pow(2).mean():.5f}; "
      f"input noise: {(noisy_test - test).pow(2).mean():.5f}")
os.remove(ckpt)
