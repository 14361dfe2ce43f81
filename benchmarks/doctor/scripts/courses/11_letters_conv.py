"""Has this 40-character snippet been scrambled? Original text against swapped neighbours."""
import argparse
import random
import torch
import torch.nn as nn

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=8)
parser.add_argument("--lr", type=float, default=3e-3)
parser.add_argument("--dropout", type=float, default=0.85)
args = parser.parse_args()
random.seed(2)
torch.manual_seed(2)

text = " ".join(open("data/text/shakespeare_7plays.txt").read().lower().split())
alphabet = sorted(set(text))
lookup = {c: i for i, c in enumerate(alphabet)}


def corrupt(s):
    s = list(s)
    for _ in range(8):
        i = random.randrange(len(s) - 1)
        s[i], s[i + 1] = s[i + 1], s[i]
    return "".join(s)


rows = []
for _ in range(3600):
    k = random.randrange(len(text) - 40)
    snippet = text[k:k + 40]
    y = random.random() < 0.5
    rows.append(([lookup[c] for c in (corrupt(snippet) if y else snippet)], float(y)))
X = torch.tensor([r[0] for r in rows])
Y = torch.tensor([r[1] for r in rows])
Xtr, Ytr, Xva, Yva = X[:3000], Y[:3000], X[3000:], Y[3000:]


class Detector(nn.Module):
    def __init__(self, n, p):
        super().__init__()
        self.emb = nn.Embedding(n, 16)
        self.conv = nn.Conv1d(16, 48, 4)
        self.drop = nn.Dropout(p)
        self.mid = nn.Linear(48, 32)
        self.out = nn.Linear(32, 1)

    def forward(self, x):
        h = self.drop(self.emb(x)).transpose(1, 2)
        h = torch.relu(self.conv(h)).mean(-1) * 4
        h = torch.relu(self.mid(self.drop(h)))
        return self.out(self.drop(h)).squeeze(1)


model = Detector(len(alphabet), args.dropout)
opt = torch.optim.RMSprop(model.parameters(), lr=args.lr)
bce = nn.BCEWithLogitsLoss()
for epoch in range(args.epochs):
    model.train()
    total = 0.0
    for idx in torch.randperm(3000).split(50):
        opt.zero_grad()
        loss = bce(model(Xtr[idx]), Ytr[idx])
        loss.backward()
        opt.step()
        total += loss.item() * len(idx)
    model.eval()
    with torch.no_grad():
        logit = model(Xva)
        acc = ((logit > 0).float() == Yva).float().mean().item()
    print(f"epoch {epoch} loss {total / 3000:.3f} val loss {bce(logit, Yva).item():.3f} val acc {acc:.3f}")
