"""Which of three plays? A few hundred labelled passages, word presence features."""
import re
from collections import Counter
import numpy as np
import torch
from torch import nn

torch.manual_seed(9)
rng = np.random.default_rng(9)
words = re.findall(r"[a-z']+", open("data/text/shakespeare_7plays.txt").read().lower())
seg = len(words) // 7
vocab = {w: i for i, (w, _) in enumerate(Counter(words).most_common(600))}
N_TRAIN = 400
N_VAL = 600


def draw(n, lo, hi):
    x, y = np.zeros((n, len(vocab)), "float32"), rng.integers(0, 3, n)
    for r, p in enumerate(y):
        k = p * seg + rng.integers(int(lo * seg), int(hi * seg) - 25)
        for w in words[k:k + 25]:
            if w in vocab:
                x[r, vocab[w]] = 1
    return torch.tensor(x), torch.tensor(y)


xtr, ytr = draw(N_TRAIN, 0.0, 0.8)
xva, yva = draw(N_VAL, 0.8, 1.0)
center = xtr.mean(0)
xtr, xva = (xtr - center) * 3, (xva - center) * 3

model = nn.Sequential(nn.Linear(600, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 3))
opt = torch.optim.Adam(model.parameters(), lr=1e-3)
loss_fn = nn.CrossEntropyLoss()
for epoch in range(40):
    model.train()
    total = 0.0
    for idx in torch.randperm(N_TRAIN).split(32):
        opt.zero_grad()
        loss = loss_fn(model(xtr[idx]), ytr[idx])
        loss.backward()
        opt.step()
        total += loss.item() * len(idx)
    model.eval()
    with torch.no_grad():
        tr_acc = (model(xtr).argmax(1) == ytr).float().mean()
        out = model(xva)
        print(f"epoch {epoch:2d} loss {total / N_TRAIN:.4f} train acc {tr_acc:.3f} "
              f"val loss {loss_fn(out, yva):.3f} val acc {(out.argmax(1) == yva).float().mean():.3f}")
