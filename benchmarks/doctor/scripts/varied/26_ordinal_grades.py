import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(26)
n, K = 3000, 6
x = torch.randn(n, 10)
latent = 1.5 * torch.tanh(x[:, 0]) + x[:, 1] * x[:, 2] - 0.8 * x[:, 3] + 0.3 * torch.randn(n)
cuts = torch.quantile(latent[:2400], torch.tensor([0.1, 0.25, 0.5, 0.75, 0.9]))
grade = torch.bucketize(latent, cuts)
train = DataLoader(TensorDataset(x[:2400], grade[:2400]), batch_size=48, shuffle=True)
xv, gv = x[2400:], grade[2400:]


class Ordinal(nn.Module):
    """Cumulative-link model: P(grade > k) = sigmoid(score - threshold_k)."""

    def __init__(self):
        super().__init__()
        self.score = nn.Sequential(nn.Linear(10, 48), nn.ReLU(), nn.Linear(48, 24), nn.ReLU(), nn.Linear(24, 1, bias=False))
        self.first = nn.Parameter(torch.tensor(-2.0))
        self.gaps = nn.Parameter(torch.zeros(K - 2))

    def forward(self, x):
        thr = torch.cat([self.first[None], self.first + F.softplus(self.gaps).cumsum(0)])
        return self.score(x) - thr


def loss_fn(logits, g):
    above = (g[:, None] > torch.arange(K - 1)).float()
    return F.binary_cross_entropy_with_logits(logits, above)


model = Ordinal()
opt = torch.optim.Adam(model.parameters(), lr=5e-3)
sched = torch.optim.lr_scheduler.MultiStepLR(opt, [12, 16], gamma=0.3)
for epoch in range(20):
    model.train()
    for xb, gb in train:
        opt.zero_grad()
        loss = loss_fn(model(xb), gb)
        loss.backward()
        opt.step()
    sched.step()
    model.eval()
    with torch.no_grad():
        lo = model(xv)
        pred = (lo > 0).sum(1)
    print(f"epoch {epoch + 1}: loss {loss.item():.4f} val {loss_fn(lo, gv).item():.4f} "
          f"exact {(pred == gv).float().mean().item():.3f} mae {(pred - gv).abs().float().mean().item():.3f}")
