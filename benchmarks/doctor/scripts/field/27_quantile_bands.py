import numpy as np
import torch
from torch import nn
from sklearn.datasets import make_friedman1

QUANTILES = torch.tensor([0.1, 0.5, 0.9])


class Pinball(torch.autograd.Function):
    """Pinball loss with its subgradient written out."""

    @staticmethod
    def forward(ctx, pred, target, taus):
        diff = target[:, None] - pred
        ctx.save_for_backward(diff, taus)
        return torch.maximum(taus * diff, (taus - 1) * diff).mean()

    @staticmethod
    def backward(ctx, g):
        diff, taus = ctx.saved_tensors
        grad = torch.where(diff > 0, -taus, 1 - taus) / diff.numel()
        return g * grad, None, None


class QuantileNet(nn.Module):
    def __init__(self, d, width=64):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(d, width), nn.GELU(), nn.Linear(width, width), nn.GELU())
        self.head = nn.Linear(width, 3)

    def forward(self, x):
        low, mid, high = self.head(self.body(x)).unbind(1)
        sp = nn.functional.softplus
        return torch.stack([mid - sp(low), mid, mid + sp(high)], 1)


def make_data(n, seed):
    X, f = make_friedman1(n_samples=n, n_features=8, noise=0.0, random_state=seed)
    rng = np.random.default_rng(seed + 1)
    y = f + rng.normal(size=n) * (0.5 + 3.0 * X[:, 5])
    return X.astype(np.float32), y.astype(np.float32)


def batches(X, y, size, generator):
    perm = torch.randperm(len(X), generator=generator)
    for chunk in perm.split(size):
        yield X[chunk], y[chunk]


def run():
    torch.manual_seed(0)
    gen = torch.Generator().manual_seed(0)
    (Xa, ya), (Xb, yb) = make_data(3000, 10), make_data(1500, 20)
    mx, sx, my, sy = Xa.mean(0), Xa.std(0), ya.mean(), ya.std()
    Xa, Xb = (torch.from_numpy((v - mx) / sx) for v in (Xa, Xb))
    ya, yb = (torch.from_numpy((v - my) / sy) for v in (ya, yb))

    model = QuantileNet(Xa.shape[1])
    opt = torch.optim.Adam(model.parameters(), lr=2e-3)
    epochs = 20
    sched = torch.optim.lr_scheduler.LinearLR(opt, 1.0, 0.05, total_iters=epochs)
    base = Pinball.apply(torch.quantile(ya, QUANTILES).expand(len(yb), 3), yb, QUANTILES)
    for epoch in range(1, epochs + 1):
        model.train()
        for xb_, yb_ in batches(Xa, ya, 64, gen):
            loss = Pinball.apply(model(xb_), yb_, QUANTILES)
            opt.zero_grad()
            loss.backward()
            opt.step()
        sched.step()
        if epoch % 5 == 0:
            model.eval()
            with torch.no_grad():
                q = model(Xb)
                test = Pinball.apply(q, yb, QUANTILES)
                cover = ((yb >= q[:, 0]) & (yb <= q[:, 2])).float().mean()
            print(f"epoch {epoch} pinball {loss.item():.4f} test {test:.4f} (constant {base:.4f}) coverage {cover:.3f}")


run()
