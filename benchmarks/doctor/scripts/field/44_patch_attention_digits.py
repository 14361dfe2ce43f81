import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

torch.manual_seed(55)
DIM, HEADS, DEPTH, EPOCHS, BATCH = 32, 4, 2, 11, 48


def to_patches(images):
    """(N, 8, 8) -> (N, 16, 4): non-overlapping 2x2 patches."""
    return images.unfold(1, 2, 2).unfold(2, 2, 2).reshape(len(images), 16, 4)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.n1, self.n2 = nn.LayerNorm(DIM), nn.LayerNorm(DIM)
        self.qkv, self.proj = nn.Linear(DIM, 3 * DIM), nn.Linear(DIM, DIM)
        self.ff = nn.Sequential(nn.Linear(DIM, 2 * DIM), nn.GELU(), nn.Dropout(0.1), nn.Linear(2 * DIM, DIM))

    def forward(self, x):
        B, T, _ = x.shape
        q, k, v = self.qkv(self.n1(x)).view(B, T, 3, HEADS, DIM // HEADS).permute(2, 0, 3, 1, 4)
        a = F.scaled_dot_product_attention(q, k, v)
        x = x + self.proj(a.transpose(1, 2).reshape(B, T, DIM))
        return x + self.ff(self.n2(x))


class PatchNet(nn.Module):
    def __init__(self, n_out=10):
        super().__init__()
        self.embed = nn.Linear(4, DIM)
        self.pos = nn.Parameter(0.1 * torch.randn(16, DIM))
        self.blocks = nn.Sequential(*[Block() for _ in range(DEPTH)])
        self.norm, self.out = nn.LayerNorm(DIM), nn.Linear(DIM, n_out)

    def forward(self, patches):
        x = self.blocks(self.embed(patches) + self.pos)
        return self.out(self.norm(x).mean(1))


digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32)
target = torch.tensor(digits.target)
tr, te = train_test_split(torch.arange(len(target)), test_size=0.25, stratify=target, random_state=0)
patches = to_patches((images - images[tr].mean()) / images[tr].std())

model = PatchNet()
matrices = [p for n, p in model.named_parameters() if p.ndim >= 2 and n != "pos"]
others = [p for n, p in model.named_parameters() if p.ndim < 2 or n == "pos"]
opt = torch.optim.AdamW([{"params": matrices, "weight_decay": 0.05}, {"params": others, "weight_decay": 0.0}],
                        lr=6e-3, betas=(0.9, 0.98))
steps = EPOCHS * -(-len(tr) // BATCH)
sched = torch.optim.lr_scheduler.SequentialLR(opt, [
    torch.optim.lr_scheduler.LinearLR(opt, 0.1, total_iters=30),
    torch.optim.lr_scheduler.CosineAnnealingLR(opt, steps - 30, eta_min=1e-4)], milestones=[30])

for epoch in range(1, EPOCHS + 1):
    model.train()
    total = 0.0
    for b in tr[torch.randperm(len(tr))].split(BATCH):
        loss = F.cross_entropy(model(patches[b]), target[b])
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        sched.step()
        total += loss.item() * len(b)
    if epoch % 2 == 1:
        model.eval()
        with torch.no_grad():
            out = model(patches[te])
        acc = (out.argmax(1) == target[te]).float().mean()
        print(f"epoch {epoch} train {total / len(tr):.4f} held-out {F.cross_entropy(out, target[te]):.4f} acc {acc:.3f}")
