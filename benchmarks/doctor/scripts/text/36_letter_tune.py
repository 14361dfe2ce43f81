import random
import torch
import torch.nn as nn
import torch.nn.functional as F

random.seed(0)
torch.manual_seed(0)
LETTERS = "abcdefgh"
CHARS = ["<pad>", "<eos>"] + list(LETTERS + "l :>")
ID = {c: i for i, c in enumerate(CHARS)}
V, CTX, D = len(CHARS), 24, 64


def encode(s):
    return [ID[c] for c in s]


def word():
    return "".join(random.choice(LETTERS) for _ in range(random.randint(3, 6)))


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.n1, self.n2 = nn.LayerNorm(D), nn.LayerNorm(D)
        self.att = nn.MultiheadAttention(D, 4, batch_first=True)
        self.ff = nn.Sequential(nn.Linear(D, 128), nn.GELU(), nn.Linear(128, D))

    def forward(self, x, mask):
        h = self.n1(x)
        x = x + self.att(h, h, h, attn_mask=mask, need_weights=False)[0]
        return x + self.ff(self.n2(x))


class TinyGPT(nn.Module):
    def __init__(self):
        super().__init__()
        self.tok, self.pos = nn.Embedding(V, D), nn.Embedding(CTX, D)
        self.layers = nn.ModuleList([Layer(), Layer()])
        self.norm, self.head = nn.LayerNorm(D), nn.Linear(D, V)

    def forward(self, t):
        n = t.size(1)
        mask = torch.triu(torch.ones(n, n, dtype=torch.bool), 1)
        x = self.tok(t) + self.pos(torch.arange(n))
        for layer in self.layers:
            x = layer(x, mask)
        return self.head(self.norm(x))


model = TinyGPT()
stream = torch.tensor(encode(" ".join(w + ":" + w for w in (word() for _ in range(4000)))))
opt = torch.optim.AdamW(model.parameters(), lr=2e-3)
for step in range(120):
    i = torch.randint(len(stream) - CTX - 1, (24,)).tolist()
    x = torch.stack([stream[j:j + CTX] for j in i])
    y = torch.stack([stream[j + 1:j + CTX + 1] for j in i])
    loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
    opt.zero_grad(); loss.backward(); opt.step()
print("pretraining loss", round(loss.item(), 3))


def example():
    w = word()
    kind = random.choice(["first", "last"])
    prompt = encode(f"{kind[0]} {w}>")
    answer = encode((w[0] if kind == "first" else w[-1]) * 2) + [ID["<eos>"]]
    ids = prompt + answer
    labels = list(ids)
    ids += [0] * (16 - len(ids))
    labels += [-100] * (16 - len(labels))
    return ids, labels


def tensors(n):
    pairs = [example() for _ in range(n)]
    return torch.tensor([p[0] for p in pairs]), torch.tensor([p[1] for p in pairs])


train_x, train_l = tensors(1600)
val_x, val_l = tensors(300)
opt = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01)
for epoch in range(4):
    model.train()
    perm = torch.randperm(len(train_x))
    for k in range(0, len(perm), 32):
        ids, labels = train_x[perm[k:k + 32]], train_l[perm[k:k + 32]]
        logits = model(ids)
        loss = F.cross_entropy(logits[:, :-1].reshape(-1, V), labels[:, 1:].reshape(-1), ignore_index=-100)
        opt.zero_grad()
        loss.backward()
        opt.step()
    model.eval()
    with torch.no_grad():
        pred = model(val_x)[:, :-1].argmax(-1)
        want = val_x[:, 1:]
        answer = torch.zeros_like(want, dtype=torch.bool)
        for r, row in enumerate(val_x.tolist()):
            p = row.index(ID[">"])
            answer[r, p:p + 3] = True
        hit = (pred == want) | ~answer
    print(f"epoch {epoch}: loss {loss.item():.3f}  val answers right {hit.all(1).float().mean().item():.3f}")
