import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(42)
text = open("data/text/shakespeare_7plays.txt", encoding="utf-8").read().lower()
text = "".join(c for c in text if c in "abcdefghijklmnopqrstuvwxyz .,;:!?'\n")[:250000]
chars = sorted(set(text))
stoi = {c: i for i, c in enumerate(chars)}
ids = torch.tensor([stoi[c] for c in text])
CTX = 8
split = int(0.9 * len(ids))


def windows(seq):
    w = seq.unfold(0, CTX + 1, 1)
    return w[:, :CTX], w[:, CTX]


Xtr, Ytr = windows(ids[:split])
Xva, Yva = windows(ids[split:])
Xva, Yva = Xva[::5], Yva[::5]


class CharMLP(nn.Module):
    def __init__(self, vocab, emb=16, hidden=128):
        super().__init__()
        self.emb = nn.Embedding(vocab, emb)
        self.fc = nn.Linear(CTX * emb, hidden)
        self.out = nn.Linear(hidden, vocab)

    def forward(self, x):
        return self.out(torch.tanh(self.fc(self.emb(x).flatten(1))))


model = CharMLP(len(chars))
opt = torch.optim.AdamW(model.parameters(), lr=1.2e-2)
steps, warm = 1500, 50
sched = torch.optim.lr_scheduler.LambdaLR(opt, lambda s: min(1.0, (s + 1) / warm) * max(0.05, 1 - s / steps))
for step in range(1, steps + 1):
    i = torch.randint(len(Xtr), (256,))
    loss = F.cross_entropy(model(Xtr[i]), Ytr[i])
    opt.zero_grad(set_to_none=True)
    loss.backward()
    opt.step()
    sched.step()
    if step % 150 == 0:
        with torch.no_grad():
            v = F.cross_entropy(model(Xva), Yva)
        print(f"{step:5d} train {loss.item():.3f} val {v.item():.3f}")
