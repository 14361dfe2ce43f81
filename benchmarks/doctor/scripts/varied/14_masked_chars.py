import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(14)
raw = open("data/text/shakespeare_7plays.txt", encoding="utf-8").read()[20000:140000].lower()
alphabet = sorted(set(raw))
lookup = {c: i + 1 for i, c in enumerate(alphabet)}
MASK, V, T = 0, len(alphabet) + 1, 24
ids = torch.tensor([lookup[c] for c in raw])
ids = ids[: len(ids) // T * T].view(-1, T)
ids = ids[torch.randperm(len(ids))]
train, val = ids[:4500], ids[4500:]


class MaskedLM(nn.Module):
    def __init__(self, width=64):
        super().__init__()
        self.tok = nn.Embedding(V, width)
        self.c1 = nn.Conv1d(width, width, 5, padding=2)
        self.c2 = nn.Conv1d(width, width, 5, padding=2)
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, V)

    def forward(self, x):
        h = self.tok(x).transpose(1, 2)
        h = h + F.gelu(self.c1(h))
        h = h + F.gelu(self.c2(h))
        return self.out(self.norm(h.transpose(1, 2)))


def corrupt(x, p=0.15):
    hide = torch.rand(x.shape) < p
    return x.masked_fill(hide, MASK), x.masked_fill(~hide, -100)


val_in, val_target = corrupt(val)
model = MaskedLM()
opt = torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=0.01)
EPOCHS = 5
sched = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=4e-3, total_steps=EPOCHS * 71)
for epoch in range(EPOCHS):
    model.train()
    for b in torch.randperm(len(train)).split(64):
        xin, target = corrupt(train[b])
        loss = F.cross_entropy(model(xin).flatten(0, 1), target.flatten(), ignore_index=-100)
        opt.zero_grad()
        loss.backward()
        opt.step()
        sched.step()
    model.eval()
    with torch.no_grad():
        o = model(val_in)
        keep = val_target != -100
        vl = F.cross_entropy(o[keep], val_target[keep])
        acc = (o[keep].argmax(-1) == val_target[keep]).float().mean()
    print(f"epoch {epoch} loss {loss.item():.3f} val loss {vl.item():.3f} masked acc {acc.item():.3f}")
