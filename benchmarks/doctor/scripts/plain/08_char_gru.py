"""Character-level language model, GRU."""
import math

import torch
import torch.nn as nn

torch.manual_seed(1337)
text = open("data/text/shakespeare_7plays.txt", encoding="utf-8").read()[2000:]
chars = sorted(set(text))
stoi = {c: i for i, c in enumerate(chars)}
itos = dict(enumerate(chars))
ids = torch.tensor([stoi[c] for c in text])
n = int(0.9 * len(ids))
train_ids, val_ids = ids[:n], ids[n:]

block_size, batch_size, max_iters, eval_every = 48, 16, 600, 100


def get_batch(split):
    d = train_ids if split == "train" else val_ids
    ix = torch.randint(len(d) - block_size - 1, (batch_size,))
    x = torch.stack([d[i:i + block_size] for i in ix])
    y = torch.stack([d[i + 1:i + block_size + 1] for i in ix])
    return x, y


class CharGRU(nn.Module):
    def __init__(self, vocab, emb=32, hidden=96):
        super().__init__()
        self.emb = nn.Embedding(vocab, emb)
        self.gru = nn.GRU(emb, hidden, batch_first=True)
        self.head = nn.Linear(hidden, vocab)

    def forward(self, x, h=None):
        out, h = self.gru(self.emb(x), h)
        return self.head(out), h


model = CharGRU(len(chars))
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=6e-3)


@torch.no_grad()
def estimate_loss():
    model.eval()
    res = {}
    for split in ("train", "val"):
        losses = []
        for _ in range(10):
            x, y = get_batch(split)
            logits, _ = model(x)
            losses.append(criterion(logits.flatten(0, 1), y.flatten()).item())
        res[split] = sum(losses) / len(losses)
    model.train()
    return res


for it in range(1, max_iters + 1):
    x, y = get_batch("train")
    logits, _ = model(x)
    loss = criterion(logits.flatten(0, 1), y.flatten())
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    if it % eval_every == 0:
        r = estimate_loss()
        print(f"iter {it}: train {r['train']:.3f} val {r['val']:.3f} ppl {math.exp(r['val']):.2f}")

# sample
model.eval()
with torch.no_grad():
    x, h, out = torch.tensor([[stoi["T"]]]), None, "T"
    for _ in range(120):
        logits, h = model(x, h)
        x = torch.multinomial(torch.softmax(logits[:, -1] / 0.8, -1), 1)
        out += itos[x.item()]
print(out)
