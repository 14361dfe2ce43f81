"""Which play does a passage come from? Bag of words over 7 plays."""
import re
from collections import Counter
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(5)
np.random.seed(5)
text = open("data/text/shakespeare_7plays.txt").read()
words = re.findall(r"[a-z']+", text.lower())
L = 60
seg = len(words) // 7
passages, labels = [], []
for p in range(7):
    chunk = words[p * seg:(p + 1) * seg]
    for i in range(0, len(chunk) - L, L):
        passages.append(chunk[i:i + L])
        labels.append(p)
perm = np.random.permutation(len(passages))
n_val = len(perm) // 5
val_idx, tr_idx = perm[:n_val], perm[n_val:]
vocab = [w for w, c in Counter(w for i in tr_idx for w in passages[i]).most_common(1500)]
index = {w: i for i, w in enumerate(vocab)}


def encode(rows):
    x = np.zeros((len(rows), len(vocab)), dtype="float32")
    for r, i in enumerate(rows):
        for w in passages[i]:
            if w in index:
                x[r, index[w]] += 1
    return x


xtr, xva = encode(tr_idx), encode(val_idx)
mu, sd = xtr.mean(0), xtr.std(0) + 0.05
xtr, xva = (xtr - mu) / sd, (xva - mu) / sd
y = torch.tensor(labels)
train = DataLoader(TensorDataset(torch.tensor(xtr), y[tr_idx]), batch_size=64, shuffle=True)
xva, yva = torch.tensor(xva), y[val_idx]

model = nn.Sequential(nn.Linear(len(vocab), 32), nn.ReLU(), nn.Dropout(0.5), nn.Linear(32, 7))
opt = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=1e-4)
for epoch in range(8):
    model.train()
    tot = 0
    for xb, yb in train:
        opt.zero_grad()
        loss = nn.functional.cross_entropy(model(xb), yb)
        loss.backward()
        opt.step()
        tot += loss.item()
    model.eval()
    with torch.no_grad():
        out = model(xva)
        print(epoch, "train loss %.3f" % (tot / len(train)), "val loss %.3f" % nn.functional.cross_entropy(out, yva),
              "val acc %.3f" % (out.argmax(1) == yva).float().mean())
