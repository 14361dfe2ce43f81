# Which puzzle family does an instruction come from?
import json
import re
from collections import Counter
import torch
from torch import nn

torch.manual_seed(20)
rows = [json.loads(l) for l in open("data/instruct/reasoning_gym_sft.jsonl")]
tasks = sorted({r["task"] for r in rows})
split = [re.findall(r"[a-z]+|\d", r["instruction"].lower())[4:24] for r in rows]
y = torch.tensor([tasks.index(r["task"]) for r in rows])
perm = torch.randperm(len(rows))
tr, va = perm[:3000].tolist(), perm[3000:].tolist()
count = Counter(w for k in tr for w in set(split[k]))
vocab = {w: n + 1 for n, (w, c) in enumerate(count.most_common()) if c >= 1}


def bag(idx):
    ids = [[vocab.get(w, 0) for w in split[k]] or [0] for k in idx]
    offsets = torch.tensor([0] + [len(i) for i in ids[:-1]]).cumsum(0)
    return torch.tensor([w for i in ids for w in i]), offsets


class BagOfWords(nn.Module):
    def __init__(self, n, d=24):
        super().__init__()
        self.emb = nn.EmbeddingBag(n, d, mode="mean")
        self.fc = nn.Linear(d, len(tasks))

    def forward(self, ids, offsets):
        return self.fc(self.emb(ids, offsets))


model = BagOfWords(len(vocab) + 1)
opt = torch.optim.Adam(model.parameters(), lr=1e-2)
ce = nn.CrossEntropyLoss()
vx = bag(va)
for epoch in range(8):
    model.train()
    order = torch.randperm(len(tr)).tolist()
    tot = 0.0
    for s in range(0, len(tr), 50):
        idx = [tr[k] for k in order[s:s + 50]]
        loss = ce(model(*bag(idx)), y[idx])
        opt.zero_grad()
        loss.backward()
        opt.step()
        tot += loss.item() * len(idx)
    model.eval()
    with torch.no_grad():
        out = model(*vx)
    print(f"epoch {epoch} words {len(vocab)} train {tot / len(tr):.4f} val {ce(out, y[va]).item():.4f} acc {(out.argmax(1) == y[va]).float().mean().item():.4f}")
