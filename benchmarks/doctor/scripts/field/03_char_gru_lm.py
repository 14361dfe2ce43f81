"""Character-level GRU language model."""
import math

import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(1337)

text = open("data/text/shakespeare_7plays.txt", encoding="utf-8").read()
chars = sorted(set(text))
stoi = {c: i for i, c in enumerate(chars)}
data = torch.tensor([stoi[c] for c in text])
split = int(0.9 * len(data))
train_data, val_data = data[:split], data[split:]

SEQ, BATCH, STEPS = 40, 32, 240


def get_batch(source, gen=None):
    ix = torch.randint(len(source) - SEQ - 1, (BATCH,), generator=gen)
    x = torch.stack([source[i:i + SEQ] for i in ix])
    y = torch.stack([source[i + 1:i + SEQ + 1] for i in ix])
    return x, y


class CharGRU(nn.Module):
    def __init__(self, vocab, emb=32, hidden=112):
        super().__init__()
        self.emb = nn.Embedding(vocab, emb)
        self.gru = nn.GRU(emb, hidden, batch_first=True)
        self.norm = nn.LayerNorm(hidden)
        self.out = nn.Linear(hidden, vocab)

    def forward(self, x):
        h, _ = self.gru(self.emb(x))
        return self.out(self.norm(h))


@torch.no_grad()
def estimate(model):
    model.eval()
    gen = torch.Generator().manual_seed(0)
    losses = []
    for _ in range(8):
        x, y = get_batch(val_data, gen)
        losses.append(F.cross_entropy(model(x).flatten(0, 1), y.flatten()).item())
    model.train()
    return sum(losses) / len(losses)


model = CharGRU(len(chars))
opt = torch.optim.Adam(model.parameters(), lr=1e-3)
sched = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=8e-3, total_steps=STEPS,
                                            pct_start=0.15)
print(f"vocab {len(chars)}, uniform loss {math.log(len(chars)):.3f}")

for step in range(STEPS):
    x, y = get_batch(train_data)
    loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    opt.step()
    sched.step()
    if (step + 1) % 40 == 0:
        print(f"step {step + 1:4d}  train {loss.item():.3f}  val {estimate(model):.3f}  "
              f"lr {sched.get_last_lr()[0]:.2e}")
