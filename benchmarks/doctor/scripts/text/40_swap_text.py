import json
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(31)
rows = [json.loads(s) for s in open("data/instruct/reasoning_gym_sft.jsonl")]
tasks = sorted({r["task"] for r in rows})
chars = sorted({c for r in rows for c in r["instruction"]})
lut = {c: i + 1 for i, c in enumerate(chars)}
x = torch.tensor([([lut[c] for c in r["instruction"]] + [0] * 50)[:50] for r in rows])
y = torch.tensor([tasks.index(r["task"]) for r in rows])


class Features(nn.Module):
    def __init__(self, dim=24, out=48):
        super().__init__()
        self.embedding = nn.Embedding(len(chars) + 1, dim)
        self.block1 = nn.Sequential(nn.Conv1d(dim, out, 5, padding=2), nn.BatchNorm1d(out), nn.ReLU(), nn.MaxPool1d(2))
        self.block2 = nn.Sequential(nn.Conv1d(out, out, 3, padding=1), nn.BatchNorm1d(out), nn.ReLU())

    def forward(self, t):
        h = self.block2(self.block1(self.embedding(t).transpose(1, 2)))
        return h.mean(2)


class Net(nn.Module):
    def __init__(self, features, n_out):
        super().__init__()
        self.features = features
        self.classifier = nn.Linear(48, n_out)

    def forward(self, t):
        return self.classifier(self.features(t))


def fit(net, params, xs, ys, xv, yv, epochs, lr, before_epoch):
    opt = torch.optim.AdamW(params, lr=lr)
    for epoch in range(epochs):
        before_epoch(net)
        total = 0.0
        for idx in torch.randperm(len(xs)).split(24):
            loss = F.cross_entropy(net(xs[idx]), ys[idx])
            opt.zero_grad()
            loss.backward()
            opt.step()
            total += loss.item() * len(idx)
        net.eval()
        with torch.no_grad():
            acc = (net(xv).argmax(1) == yv).float().mean().item()
        print(f"  epoch {epoch} loss {total / len(xs):.3f} val acc {acc:.3f}")


def part(mask):
    idx = torch.nonzero(mask).squeeze(1)
    idx = idx[torch.randperm(len(idx))]
    cut = int(0.75 * len(idx))
    return idx[:cut], idx[cut:]


features = Features()
a_tr, a_va = part(y < 12)
print("stage 1: twelve task types")
first = Net(features, 12)
fit(first, first.parameters(), x[a_tr], y[a_tr], x[a_va], y[a_va], 2, 3e-3, lambda n: n.train())

print("stage 2: new head, eight other types, upper-case prompts")
upper = torch.tensor([lut.get(c.upper(), lut[c]) for c in chars])
xu = torch.cat([torch.zeros(1, dtype=torch.long), upper])[x]
for p in features.parameters():
    p.requires_grad = False


def prepare(net):
    net.train()
    net.features.eval()


b_tr, b_va = part(y >= 12)
second = Net(features, 8)
fit(second, second.classifier.parameters(), xu[b_tr], y[b_tr] - 12, xu[b_va], y[b_va] - 12, 5, 1e-2, prepare)
first.eval()
with torch.no_grad():
    print("first head afterwards", round((first(x[a_va]).argmax(1) == y[a_va]).float().mean().item(), 3))
