import re
import torch
from torch import nn, optim

torch.manual_seed(21)
book = open("data/text/shakespeare_7plays.txt").read()
titles = ["HAMLET, PRINCE", "MACBETH\n", "A MIDSUMMER NIGHT'S DREAM\n", "THE TEMPEST\n", "JULIUS CAESAR\n", "OTHELLO, THE"]
bounds = [0] + [book.index(t) for t in titles] + [len(book)]
docs, labels = [], []
for k in range(7):
    words = re.findall("[a-z']+", book[bounds[k]:bounds[k + 1]].lower())
    for i in range(0, len(words) - 60, 60):
        docs.append(words[i:i + 60])
        labels.append(k)
counts = {}
for d in docs:
    for w in set(d):
        counts[w] = counts.get(w, 0) + 1
vocab = {w: i for i, w in enumerate(sorted(w for w, c in counts.items() if 3 <= c <= 1200))}
V = len(vocab)
ids = torch.full((len(docs), 60), V)
for r, d in enumerate(docs):
    known = [vocab[w] for w in d if w in vocab]
    ids[r, :len(known)] = torch.tensor(known, dtype=torch.long)
y = torch.tensor(labels)
perm = torch.randperm(len(docs))
tr, te = perm[:2000], perm[2000:]


class Bag(nn.Module):
    def __init__(self, dim=48):
        super().__init__()
        self.bag = nn.EmbeddingBag(V + 1, dim, mode="mean", padding_idx=V)
        self.fc = nn.Linear(dim, 7)
        nn.init.normal_(self.bag.weight, std=0.3)

    def forward(self, t):
        return self.fc(self.bag(t))


net = Bag()
loss_fn = nn.CrossEntropyLoss()
opt = optim.SGD(net.parameters(), lr=1.0, momentum=0.998)
for ep in range(4):
    net.train()
    order = tr[torch.randperm(len(tr))]
    tot = 0.0
    for i in range(0, len(order), 32):
        b = order[i:i + 32]
        loss = loss_fn(net(ids[b]), y[b])
        opt.zero_grad()
        loss.backward()
        opt.step()
        tot += loss.item()
    net.eval()
    with torch.no_grad():
        out = net(ids[te])
        acc = (out.argmax(1) == y[te]).float().mean().item()
    print(ep, "loss", round(tot / (len(order) / 32), 3), "test loss", round(loss_fn(out, y[te]).item(), 3), "acc", round(acc, 3))
