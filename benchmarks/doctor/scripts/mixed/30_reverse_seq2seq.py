"""Seq2seq toy: reverse a string of letters, GRU encoder/decoder with dot attention."""
import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(4)
LETTERS, BOS, LEN = 12, 12, 6


def data(n):
    src = torch.randint(0, LETTERS, (n, LEN))
    return src, src.flip(1)


class Seq2Seq(nn.Module):
    def __init__(self, d=64):
        super().__init__()
        self.emb = nn.Embedding(LETTERS + 1, d)
        self.enc = nn.GRU(d, d, batch_first=True)
        self.dec = nn.GRU(d, d, batch_first=True)
        self.out = nn.Linear(2 * d, LETTERS)

    def decode(self, tokens, memory, state):
        h, state = self.dec(self.emb(tokens), state)
        att = torch.softmax(h @ memory.transpose(1, 2) / h.shape[-1] ** 0.5, -1)
        return self.out(torch.cat([h, att @ memory], -1)), state

    def forward(self, src, tgt):
        memory, state = self.enc(self.emb(src))
        inp = torch.cat([torch.full((len(tgt), 1), BOS), tgt[:, :-1]], 1)
        return self.decode(inp, memory, state)[0]

    @torch.no_grad()
    def generate(self, src):
        memory, state = self.enc(self.emb(src))
        tok, res = torch.full((len(src), 1), BOS), []
        for _ in range(LEN):
            logits, state = self.decode(tok, memory, state)
            tok = logits.argmax(-1)
            res.append(tok)
        return torch.cat(res, 1)


src, tgt = data(6000)
vs, vt = data(300)
net = Seq2Seq()
opt = torch.optim.AdamW(net.parameters(), lr=4e-3)
for epoch in range(5):
    net.train()
    total = 0.0
    for b in torch.randperm(len(src)).split(64):
        loss = F.cross_entropy(net(src[b], tgt[b]).transpose(1, 2), tgt[b])
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        opt.step()
        total += loss.item() * len(b)
    net.eval()
    with torch.no_grad():
        vloss = F.cross_entropy(net(vs, vt).transpose(1, 2), vt).item()
    print(f"epoch {epoch} train {total / len(src):.4f} val {vloss:.4f} exact {(net.generate(vs) == vt).all(1).float().mean():.3f}")
