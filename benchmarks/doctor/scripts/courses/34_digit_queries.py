"""Encoder-decoder: answer questions about a digit sequence (its smallest or largest value)."""
import torch
import torch.nn as nn

torch.manual_seed(23)
L, V = 6, 10


def sample(n):
    x = torch.randint(0, V, (n, L))
    k = torch.randint(0, 2, (n,))
    s = x.sort(1).values
    y = torch.where(k == 0, s[:, 0], s[:, -1])
    return x, k, y


xt, kt, yt = sample(4000)
xv, kv, yv = sample(800)


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(V, 16)
        self.ff = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 8))

    def forward(self, x):
        return self.ff(self.emb(x)).amax(1)


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.query = nn.Embedding(2, 8)
        self.ff = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, V))

    def forward(self, code, k):
        return self.ff(torch.cat([code, self.query(k)], 1))


encoder, decoder = Encoder(), Decoder()
optimizer = torch.optim.Adam(decoder.parameters(), lr=3e-3)
criterion = nn.CrossEntropyLoss()

for epoch in range(12):
    encoder.train(), decoder.train()
    total = 0.0
    for idx in torch.randperm(len(xt)).split(64):
        loss = criterion(decoder(encoder(xt[idx]), kt[idx]), yt[idx])
        encoder.zero_grad()
        decoder.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(idx)
    encoder.eval(), decoder.eval()
    with torch.no_grad():
        out = decoder(encoder(xv), kv)
        acc = (out.argmax(-1) == yv).float().mean().item()
    print(f"epoch {epoch:2d}  loss {total / len(xt):.4f}  val loss {criterion(out, yv).item():.4f}  val acc {acc:.3f}")
