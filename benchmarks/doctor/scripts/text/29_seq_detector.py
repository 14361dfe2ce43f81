import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(13)
text = open("data/text/shakespeare_7plays.txt").read().lower()
symbols = sorted(set(text))
to_id = {c: i for i, c in enumerate(symbols)}
ids = torch.tensor([to_id[c] for c in text])
LEN = 40


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(len(symbols), 32)
        self.gru = nn.GRU(32, 80, batch_first=True)

    def forward(self, t):
        return self.gru(self.emb(t))[0]


class SpeakerNet(nn.Module):
    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(80, 2)

    def forward(self, t):
        return self.head(self.encoder(t).mean(1))


encoder = Encoder()
lm_head = nn.Linear(80, len(symbols))
opt = torch.optim.Adam([*encoder.parameters(), *lm_head.parameters()], lr=4e-3)
for step in range(150):
    s = torch.randint(len(ids) - LEN - 1, (24,)).tolist()
    chunk = torch.stack([ids[i:i + LEN + 1] for i in s])
    loss = F.cross_entropy(lm_head(encoder(chunk[:, :-1])).transpose(1, 2), chunk[:, 1:])
    opt.zero_grad()
    loss.backward()
    opt.step()
print("language model loss", round(loss.item(), 3))

starts = torch.randint(len(ids) - LEN - 1, (2000,)).tolist()
real = torch.stack([ids[i:i + LEN] for i in starts])
fake = real[:1000].clone()
for r in range(1000):
    k = torch.randint(0, LEN - 12, (1,)).item()
    fake[r, k:k + 12] = fake[r, k:k + 12].flip(0)
X = torch.cat([real[1000:], fake])
y = torch.cat([torch.zeros(1000), torch.ones(1000)]).long()
perm = torch.randperm(2000)
X, y = X[perm], y[perm]
x_tr, y_tr, x_va, y_va = X[:1500], y[:1500], X[1500:], y[1500:]

model = SpeakerNet(encoder)
optimizer = torch.optim.Adam([
    {"params": model.encoder.parameters(), "lr": 2e-3},
    {"params": model.head.parameters(), "lr": 5e-3}])
for epoch in range(5):
    model.train()
    order = torch.randperm(1500)
    total = 0.0
    for i in range(0, 1500, 30):
        b = order[i:i + 30]
        loss = F.cross_entropy(model(x_tr[b]), y_tr[b])
        loss.backward()
        optimizer.step()
        total += loss.item() / 50
    model.eval()
    with torch.no_grad():
        out = model(x_va)
        print(f"epoch {epoch} train {total:.3f} val {F.cross_entropy(out, y_va).item():.3f} acc {(out.argmax(1) == y_va).float().mean().item():.3f}")
