import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint

torch.manual_seed(38)
d = np.load("embedded/mnist_5k_1k.npz")
prep = lambda a: (torch.tensor(a).float().flatten(1) / 255 - 0.1307) / 0.3081
xt, yt = prep(d["x_train"][:3000]), torch.tensor(d["y_train"][:3000]).long()
xv, yv = prep(d["x_test"]), torch.tensor(d["y_test"]).long()


class Mixer(nn.Module):
    """Residual MLP whose branches start at zero (re-zero gates)."""

    def __init__(self, w=96, depth=4):
        super().__init__()
        self.stem = nn.Linear(784, w)
        self.blocks = nn.ModuleList(nn.Sequential(nn.LayerNorm(w), nn.Linear(w, w), nn.GELU(), nn.Linear(w, w)) for _ in range(depth))
        self.gates = nn.Parameter(torch.zeros(depth))
        self.head = nn.Sequential(nn.LayerNorm(w), nn.Linear(w, 10))

    def forward(self, x):
        h = self.stem(x)
        for g, blk in zip(self.gates, self.blocks):
            h = h + g * checkpoint(blk, h, use_reentrant=False)
        return self.head(h)


net = Mixer()
opt = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=0.02)
EPOCHS, ACC = 6, 2
total = EPOCHS * 30
sched = torch.optim.lr_scheduler.SequentialLR(opt, [
    torch.optim.lr_scheduler.LinearLR(opt, 0.1, 1.0, total_iters=15),
    torch.optim.lr_scheduler.CosineAnnealingLR(opt, total - 15)], milestones=[15])
for epoch in range(EPOCHS):
    net.train()
    opt.zero_grad()
    for k, b in enumerate(torch.randperm(3000).split(50), 1):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            out = net(xt[b])
        loss = F.cross_entropy(out.float(), yt[b])
        (loss / ACC).backward()
        if k % ACC == 0:
            nn.utils.clip_grad_norm_(net.parameters(), 5.0)
            opt.step()
            opt.zero_grad()
            sched.step()
    net.eval()
    with torch.no_grad():
        o = net(xv)
    print(f"epoch {epoch} loss {loss.item():.4f} val {F.cross_entropy(o, yv).item():.4f} acc {(o.argmax(1) == yv).float().mean().item():.4f} gates {net.gates.abs().mean().item():.3f}")
