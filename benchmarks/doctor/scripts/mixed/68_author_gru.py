"""Adapt a character model to a new author on very little text."""
import copy
import torch
import torch.nn as nn

torch.manual_seed(16)
corpus = open('data/text/shakespeare_7plays.txt', encoding='utf-8').read().lower()
itos = sorted(set(corpus))
lookup = {c: i for i, c in enumerate(itos)}
SEQ = 32


def chunks(s):
    t = torch.tensor([lookup[c] for c in s])
    return t[:len(t) // (SEQ + 1) * (SEQ + 1)].view(-1, SEQ + 1)


general = chunks(corpus[3000:93000])
target_text = corpus[-16000:-1000].replace('th', 'y').replace('ou', 'u')
small = chunks(target_text)
small = small[torch.randperm(len(small))]
tune, held = small[:150], small[150:]


class CharLM(nn.Module):
    def __init__(self, vocab, emb=32, hidden=96):
        super().__init__()
        self.embed = nn.Embedding(vocab, emb)
        self.gru = nn.GRU(emb, hidden, batch_first=True)
        self.proj = nn.Linear(hidden, vocab)

    def forward(self, ids):
        return self.proj(self.gru(self.embed(ids))[0])


def lm_loss(model, rows):
    out = model(rows[:, :-1])
    return nn.functional.cross_entropy(out.flatten(0, 1), rows[:, 1:].flatten())


def fit(model, rows, lr, epochs, batch, tag):
    opt = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.01)
    for epoch in range(epochs):
        model.train()
        total = 0.0
        for idx in torch.randperm(len(rows)).split(batch):
            loss = lm_loss(model, rows[idx])
            opt.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            opt.step()
            total += loss.item() * len(idx)
        model.eval()
        with torch.no_grad():
            print(f'{tag} {epoch}: train {total / len(rows):.3f} new author {lm_loss(model, held):.3f}')


base = CharLM(len(itos))
fit(base, general, 5e-3, 2, 32, 'pretrain')
model = copy.deepcopy(base)
fit(model, tune, 5e-2, 8, 15, 'adapt')
