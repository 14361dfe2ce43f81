"""Passages from four plays."""
import re
from collections import Counter
import torch
import torch.nn as nn
from torch.utils.data import Dataset, DataLoader

torch.manual_seed(29)
words = re.findall(r"[a-z']+", open("data/text/shakespeare_7plays.txt").read().lower())
seg = len(words) // 7
vocab = {w: i + 1 for i, (w, _) in enumerate(Counter(words).most_common(1200))}
names = ["play_a", "play_b", "play_c", "play_d"]
class_index = {name: i for i, name in enumerate(names, start=1)}
L = 50


class Passages(Dataset):
    def __init__(self, part):
        self.items = []
        for p, name in enumerate(names):
            chunk = words[p * seg:(p + 1) * seg]
            for k in range(0, len(chunk) - L, L):
                if (k // L % 5 == 0) == (part == "val"):
                    self.items.append(([vocab.get(w, 0) for w in chunk[k:k + L]], name))

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        ids, name = self.items[i]
        return torch.tensor(ids), class_index[name]


class Averager(nn.Module):
    def __init__(self, n_classes, d=48):
        super().__init__()
        self.emb = nn.EmbeddingBag(len(vocab) + 1, d, mode="mean")
        self.norm = nn.LayerNorm(d)
        self.drop = nn.Dropout(0.3)
        self.fc = nn.Linear(d, n_classes)

    def forward(self, x):
        return self.fc(self.drop(self.norm(self.emb(x))))


train_dl = DataLoader(Passages("train"), batch_size=32, shuffle=True)
val_dl = DataLoader(Passages("val"), batch_size=256)
model = Averager(len(names) + 1)
opt = torch.optim.AdamW(model.parameters(), lr=3e-3)
ce = nn.CrossEntropyLoss()
for epoch in range(8):
    model.train()
    tot = 0.0
    for x, y in train_dl:
        opt.zero_grad()
        loss = ce(model(x), y)
        loss.backward()
        opt.step()
        tot += loss.item()
    model.eval()
    good = n = 0
    with torch.no_grad():
        for x, y in val_dl:
            pred = model(x)[:, :len(names)].argmax(1)
            good += (pred == y).sum().item()
            n += len(y)
    print(f"epoch {epoch + 1} train loss {tot / len(train_dl):.3f} val acc {good / n:.3f}")
