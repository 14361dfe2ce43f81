import os
import tempfile

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(99)
np.random.seed(99)


class TiedAE(nn.Module):
    def __init__(self, d=784, h=128, code=32):
        super().__init__()
        self.w1 = nn.Parameter(torch.empty(h, d))
        self.w2 = nn.Parameter(torch.empty(code, h))
        for w in (self.w1, self.w2):
            nn.init.xavier_uniform_(w)
        self.b1, self.b2 = nn.Parameter(torch.zeros(h)), nn.Parameter(torch.zeros(code))
        self.c1, self.c2 = nn.Parameter(torch.zeros(h)), nn.Parameter(torch.zeros(d))

    def encode(self, x):
        return F.linear(F.gelu(F.linear(x, self.w1, self.b1)), self.w2, self.b2)

    def decode(self, code):
        h = F.gelu(F.linear(code, self.w2.t(), self.c1))
        return F.linear(h, self.w1.t(), self.c2)

    def forward(self, x):
        return self.decode(self.encode(x))


with np.load("embedded/mnist_5k_1k.npz") as f:
    x_all = torch.from_numpy(f["x_train"]).float().flatten(1) / 255
    x_test = torch.from_numpy(f["x_test"]).float().flatten(1) / 255
x_train, x_val = x_all[:4500], x_all[4500:]
pixel_mean = x_train.mean(0)


def corrupt(x, p=0.25):
    return x * (torch.rand_like(x) > p) / (1 - p)


@torch.no_grad()
def mse(model, x):
    model.eval()
    noisy = x * (torch.rand(x.shape, generator=torch.Generator().manual_seed(1)) > 0.25) / 0.75
    return F.mse_loss(torch.sigmoid(model(noisy)), x).item()


model = TiedAE()
opt = torch.optim.Adam(model.parameters(), lr=2e-3)
plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(opt, factor=0.5, patience=1)
ckpt = os.path.join(tempfile.mkdtemp(), "ae.pt")
best = float("inf")

for epoch in range(1, 13):
    model.train()
    for idx in torch.randperm(len(x_train)).split(100):
        x = x_train[idx]
        loss = F.binary_cross_entropy_with_logits(model(corrupt(x)), x)
        opt.zero_grad()
        loss.backward()
        opt.step()
    val = mse(model, x_val)
    plateau.step(val)
    if val < best:
        best = val
        torch.save(model.state_dict(), ckpt)
    if epoch % 3 == 0:
        print(f"epoch {epoch:2d}  bce {loss.item():.4f}  val mse {val:.5f}  lr {opt.param_groups[0]['lr']:.1e}")

model.load_state_dict(torch.load(ckpt))
print(f"test mse {mse(model, x_test):.5f}; mean image {F.mse_loss(pixel_mean.expand_as(x_test), x_test).item():.5f}")
