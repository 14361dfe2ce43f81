"""Neural n-gram character model (Bengio style) on Shakespeare."""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(1337)
text = open("data/text/shakespeare_7plays.txt").read()[5000:125000].lower()
chars = sorted(set(text))
stoi = {c: i for i, c in enumerate(chars)}
ids = torch.tensor([stoi[c] for c in text])
CTX = 12
split = int(0.9 * len(ids))


def contexts(part):
    u = part.unfold(0, CTX + 1, 1)
    return u[:, :CTX], u[:, CTX]


xtr, ytr = contexts(ids[:split])
xva, yva = contexts(ids[split:])


class NGram(nn.Module):
    def __init__(self, vocab, d=16, h=128):
        super().__init__()
        self.emb = nn.Embedding(vocab, d)
        self.fc = nn.Linear(CTX * d, h)
        self.out = nn.Linear(h, vocab)

    def forward(self, x):
        return self.out(torch.relu(self.fc(self.emb(x).flatten(1))))


model = NGram(len(chars))
opt = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.995)
STEPS_PER_EPOCH = 150
for epoch in range(10):
    running = 0.0
    for _ in range(STEPS_PER_EPOCH):
        ix = torch.randint(0, len(xtr), (128,))
        loss = F.cross_entropy(model(xtr[ix]), ytr[ix])
        opt.zero_grad(set_to_none=True)
        loss.backward()
        opt.step()
        running += loss.item()
    with torch.no_grad():
        val = F.cross_entropy(model(xva), yva).item()
    print(f"epoch {epoch}: train {running / STEPS_PER_EPOCH:.3f}  val {val:.3f}")
