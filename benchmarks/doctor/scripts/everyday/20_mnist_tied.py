import numpy as np
import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(1)
z = np.load("embedded/mnist_5k_1k.npz")
x = torch.from_numpy(z["x_train"]).float().reshape(-1, 784) / 255
xv = torch.from_numpy(z["x_test"]).float().reshape(-1, 784) / 255


class TiedDenoiser(nn.Module):
    """The decoder uses the transposed matrices of the encoder."""

    def __init__(self, sizes=(784, 160, 40)):
        super().__init__()
        self.w = nn.ParameterList([nn.Parameter(torch.empty(o, i)) for i, o in zip(sizes[:-1], sizes[1:])])
        self.enc_b = nn.ParameterList([nn.Parameter(torch.zeros(o)) for o in sizes[1:]])
        self.dec_b = nn.ParameterList([nn.Parameter(torch.zeros(i)) for i in sizes[:-1]])
        for w in self.w:
            nn.init.xavier_uniform_(w)

    def forward(self, x):
        h = F.leaky_relu(F.linear(x, self.w[0], self.enc_b[0]), 0.1)
        code = F.linear(h, self.w[1], self.enc_b[1])
        h = F.leaky_relu(F.linear(code, self.w[1].t(), self.dec_b[1]), 0.1)
        return F.linear(h, self.w[0].t(), self.dec_b[0])


model = TiedDenoiser()
opt = torch.optim.NAdam(model.parameters(), lr=1e-3)
baseline = F.binary_cross_entropy(x.mean(0).clamp(1e-4, 1 - 1e-4).expand_as(xv), xv).item()
print(f"mean image BCE {baseline:.4f}")

for epoch in range(8):
    model.train()
    tot = 0.0
    for idx in torch.randperm(len(x)).split(64):
        clean = x[idx]
        noisy = (clean + 0.3 * torch.randn_like(clean)).clamp(0, 1)
        loss = F.binary_cross_entropy_with_logits(model(noisy), clean)
        opt.zero_grad()
        loss.backward()
        opt.step()
        tot += loss.item() * len(idx)
    model.eval()
    with torch.no_grad():
        g = torch.Generator().manual_seed(0)
        noisy = (xv + 0.3 * torch.randn(xv.shape, generator=g)).clamp(0, 1)
        out = model(noisy)
        v = F.binary_cross_entropy_with_logits(out, xv).item()
        err = F.mse_loss(torch.sigmoid(out), xv).item()
    print(f"epoch {epoch}: train BCE {tot / len(x):.4f} val BCE {v:.4f} val MSE {err:.4f}")
