# Character model of Shakespeare, output weights tied to the embedding
import math
import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(9)
text = open("data/text/shakespeare_7plays.txt", encoding="utf-8").read()[20000:140000]
chars = sorted(set(text))
stoi = {c: i for i, c in enumerate(chars)}
data = torch.tensor([stoi[c] for c in text])
train, valid = data[:100000], data[100000:]
T, B, V = 40, 32, len(chars)


class TiedGRU(nn.Module):
    def __init__(self, d=64):
        super().__init__()
        self.emb = nn.Embedding(V, d)
        nn.init.normal_(self.emb.weight, std=d ** -0.5)
        self.rnn = nn.GRU(d, 96, batch_first=True)
        self.proj = nn.Linear(96, d)
        self.decode = nn.Linear(d, V)
        self.decode.weight = self.emb.weight

    def forward(self, ids):
        h, _ = self.rnn(self.emb(ids) * 8.0)
        return self.decode(self.proj(h))


def batch(source):
    at = torch.randint(len(source) - T - 1, (B,))
    chunk = torch.stack([source[i:i + T + 1] for i in at.tolist()])
    return chunk[:, :-1], chunk[:, 1:]


model = TiedGRU()
opt = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.01)
sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=280, eta_min=1e-4)
for epoch in range(7):
    model.train()
    total = 0.0
    for _ in range(40):
        x, y = batch(train)
        loss = F.cross_entropy(model(x).reshape(-1, V), y.reshape(-1))
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        sched.step()
        total += loss.item() / 40
    model.eval()
    with torch.no_grad():
        x = valid[:valid.numel() // (T + 1) * (T + 1)].view(-1, T + 1)[:200]
        v = F.cross_entropy(model(x[:, :-1]).reshape(-1, V), x[:, 1:].reshape(-1)).item()
    print(f"epoch {epoch} train {total:.3f} val {v:.3f} bits per char {v / math.log(2):.3f}")
