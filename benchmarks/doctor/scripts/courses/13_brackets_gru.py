"""Is a bracket string balanced, too deep, or broken? GRU over tokens."""
import random
import torch
from torch import nn
import torch.nn.functional as F

random.seed(4)
torch.manual_seed(4)
LEN = 16


def state(s):
    depth = 0
    for c in s:
        depth += 1 if c == 0 else -1
        if depth < 0:
            return 0
    return 1 if depth == 0 else 2


pools = {0: set(), 1: set(), 2: set()}
while min(len(p) for p in pools.values()) < 900:
    s = tuple(random.choice((0, 1)) for _ in range(LEN)) if random.random() < 0.3 else None
    if s is None:
        d, out = 0, []
        for k in range(LEN):
            c = 0 if d == 0 else (1 if d >= LEN - k else random.choice((0, 1)))
            d += 1 if c == 0 else -1
            out.append(c)
        s = tuple(out)
    p = pools[state(s)]
    if len(p) < 900:
        p.add(s)
    elif min(len(q) for q in pools.values()) >= 900:
        break
data = [(s, k) for k in pools for s in sorted(pools[k])]
random.shuffle(data)
X = torch.tensor([s for s, _ in data])
y = torch.tensor([k for _, k in data])
n_val = 500


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(2, 8)
        self.gru = nn.GRU(8, 32, batch_first=True)
        self.fc = nn.Linear(32, 3)

    def forward(self, x):
        _, h = self.gru(self.emb(x))
        return F.softmax(self.fc(h[-1]), dim=1)


net = Reader()
opt = torch.optim.Adam(net.parameters(), lr=5e-3)
for epoch in range(12):
    net.train()
    for idx in (torch.randperm(len(X) - n_val) + n_val).split(64):
        loss = F.nll_loss(net(X[idx]), y[idx])
        opt.zero_grad()
        loss.backward()
        opt.step()
    net.eval()
    with torch.no_grad():
        out = net(X[:n_val])
        print("epoch", epoch, "val loss", round(F.nll_loss(out, y[:n_val]).item(), 4),
              "val acc", round((out.argmax(1) == y[:n_val]).float().mean().item(), 3))
