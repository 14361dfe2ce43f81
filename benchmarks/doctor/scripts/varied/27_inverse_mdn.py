import math
import torch
import torch.nn as nn

# Bishop's inverse problem: several x for one y, so a mixture density network
torch.manual_seed(27)
t = torch.rand(3000, 1)
y = t + 0.3 * torch.sin(2 * math.pi * t) + 0.05 * torch.randn_like(t)
inp, out = (y - y.mean()) / y.std(), (t - 0.5) / 0.29
x_tr, y_tr, x_va, y_va = inp[:2400], out[:2400], inp[2400:], out[2400:]


class MDN(nn.Module):
    def __init__(self, k=5):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(1, 40), nn.Tanh(), nn.Linear(40, 40), nn.Tanh())
        self.pi, self.mu, self.ls = nn.Linear(40, k), nn.Linear(40, k), nn.Linear(40, k)
        with torch.no_grad():
            self.mu.bias.copy_(torch.linspace(-1.5, 1.5, k))

    def log_prob(self, x, y):
        h = self.trunk(x)
        ls = self.ls(h).clamp(-5, 3)
        comp = -0.5 * ((y - self.mu(h)) / ls.exp()) ** 2 - ls - 0.5 * math.log(2 * math.pi)
        return torch.logsumexp(self.pi(h).log_softmax(1) + comp, 1)


net = MDN()
opt = torch.optim.Adam(net.parameters(), lr=5e-3)
sched = torch.optim.lr_scheduler.ExponentialLR(opt, 0.93)
for epoch in range(30):
    net.train()
    run = 0.0
    for b in torch.randperm(2400).split(60):
        loss = -net.log_prob(x_tr[b], y_tr[b]).mean()
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        opt.step()
        run += loss.item() / 40
    sched.step()
    net.eval()
    with torch.no_grad():
        print(f"epoch {epoch} nll {run:.4f} val nll {-net.log_prob(x_va, y_va).mean().item():.4f}")
