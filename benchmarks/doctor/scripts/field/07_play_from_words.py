import argparse
import random
import re
import zlib

import torch
import torch.nn as nn
from torch.utils.data import DataLoader

p = argparse.ArgumentParser()
p.add_argument("--snippet", type=int, default=60, help="words per snippet")
p.add_argument("--buckets", type=int, default=8192)
p.add_argument("--dim", type=int, default=32)
p.add_argument("--epochs", type=int, default=12)
p.add_argument("--lr", type=float, default=0.03)
p.add_argument("--seed", type=int, default=5)
args = p.parse_args()
random.seed(args.seed)
torch.manual_seed(args.seed)


def words_of_plays(path="data/text/shakespeare_7plays.txt"):
    text = open(path, encoding="utf-8").read()
    plays = re.split(r"(?m)^.*\n\nby William Shakespeare", text)[1:]
    return [re.findall(r"[a-z']+", play.lower()) for play in plays]


def snippets(plays):
    rows = []
    for label, words in enumerate(plays):
        for i in range(0, len(words) - args.snippet, args.snippet):
            ids = [zlib.crc32(w.encode()) % args.buckets for w in words[i:i + args.snippet]]
            rows.append((ids, label))
    return rows


def collate(rows):
    ids = torch.tensor([r[0] for r in rows])
    return ids, torch.tensor([r[1] for r in rows])


class BagClassifier(nn.Module):
    def __init__(self, n_classes):
        super().__init__()
        self.bag = nn.EmbeddingBag(args.buckets, args.dim, mode="mean")
        self.net = nn.Sequential(nn.Linear(args.dim, 32), nn.ReLU(), nn.Dropout(0.2),
                                 nn.Linear(32, n_classes), nn.Softmax(dim=1))

    def forward(self, ids):
        return self.net(self.bag(ids))


def run():
    plays = words_of_plays()
    rows = snippets(plays)
    random.shuffle(rows)
    cut = int(0.8 * len(rows))
    train = DataLoader(rows[:cut], batch_size=32, shuffle=True, collate_fn=collate)
    valid = DataLoader(rows[cut:], batch_size=128, collate_fn=collate)
    print(f"{len(plays)} plays, {len(rows)} snippets")

    model = BagClassifier(len(plays))
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adagrad(model.parameters(), lr=args.lr)
    for epoch in range(args.epochs):
        model.train()
        total = 0.0
        for ids, y in train:
            optimizer.zero_grad()
            loss = criterion(model(ids), y)
            loss.backward()
            optimizer.step()
            total += loss.item()
        model.eval()
        with torch.no_grad():
            hits = sum((model(ids).argmax(1) == y).sum().item() for ids, y in valid)
        print(f"epoch {epoch + 1:2d}  loss {total / len(train):.4f}  "
              f"valid acc {hits / (len(rows) - cut):.3f}")


if __name__ == "__main__":
    run()
