# mixture density network on the inverse problem from Bishop's book
import math
import torch
from torch import nn
from torch.distributions import Categorical, MixtureSameFamily, Normal

torch.manual_seed(6)
t = torch.rand(3000, 1)
x = t + 0.3 * torch.sin(2 * math.pi * t) + 0.05 * torch.randn_like(t)
inp = (x - 0.5) / 0.35
tgt = (t[:, 0] - 0.5) * 3.46
tr, te = slice(0, 2400), slice(2400, 3000)


class MDN(nn.Module):
    def __init__(self, comps=4, hidden=32):
        super().__init__()
        self.h = nn.Sequential(nn.Linear(1, hidden), nn.ELU(), nn.Linear(hidden, hidden), nn.ELU())
        self.pi, self.mu, self.s = (nn.Linear(hidden, comps) for _ in range(3))

    def forward(self, x):
        h = self.h(x)
        return MixtureSameFamily(Categorical(logits=self.pi(h)), Normal(self.mu(h), nn.functional.softplus(self.s(h)) + 1e-2))


mdn = MDN()
optim = torch.optim.Adam(mdn.parameters(), lr=3e-3)
gauss = -Normal(tgt[tr].mean(), tgt[tr].std()).log_prob(tgt[te]).mean()
print(f'single gaussian nll {gauss:.3f}')
for epoch in range(15):
    mdn.train()
    acc = 0.
    for b in torch.randperm(2400).split(64):
        loss = -mdn(inp[tr][b]).log_prob(tgt[tr][b]).mean()
        optim.zero_grad(); loss.backward()
        nn.utils.clip_grad_norm_(mdn.parameters(), 5.0)
        optim.step()
        acc += loss.item() * len(b) / 2400
    mdn.eval()
    with torch.no_grad():
        val = -mdn(inp[te]).log_prob(tgt[te]).mean()
    print(f'epoch {epoch} nll {acc:.3f} / {val:.3f}')
