"""Supervised tuning of a tiny decoder: 'sort: 7 3 9 =' -> '3 7 9'."""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
DIGITS, N = 10, 5
EQ, EOS, BOS, NOISE0 = 10, 11, 12, 13
VOCAB = 13 + 20


def make(n, gen):
    """prompt: BOS, some filler words, N digits, EQ; answer: digits sorted, EOS"""
    filler = torch.randint(NOISE0, VOCAB, (n, 6), generator=gen)
    digits = torch.randint(0, DIGITS, (n, N), generator=gen)
    answer = digits.sort(1).values
    col = lambda v: torch.full((n, 1), v)
    ids = torch.cat([col(BOS), filler, digits, col(EQ), answer, col(EOS)], 1)
    prompt_len = 1 + 6 + N + 1
    return ids, prompt_len


class Decoder(nn.Module):
    def __init__(self, d=48, layers=2, max_len=24):
        super().__init__()
        self.tok, self.pos = nn.Embedding(VOCAB, d), nn.Embedding(max_len, d)
        layer = nn.TransformerEncoderLayer(d, 4, 2 * d, dropout=0.0, batch_first=True, norm_first=True)
        self.enc = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(d)
        self.lm_head = nn.Linear(d, VOCAB)

    def forward(self, ids):
        T = ids.shape[1]
        mask = torch.triu(torch.ones(T, T, dtype=torch.bool), 1)
        h = self.enc(self.tok(ids) + self.pos(torch.arange(T)), mask=mask)
        return self.lm_head(self.norm(h))


def labels_for(ids, prompt_len):
    labels = ids.clone()
    return labels


def lm_loss(model, ids, labels):
    logits = model(ids)
    return F.cross_entropy(logits[:, :-1].reshape(-1, VOCAB), labels[:, 1:].reshape(-1), ignore_index=-100)


@torch.no_grad()
def exact_match(model, ids, prompt_len):
    model.eval()
    seq = ids[:, :prompt_len]
    for _ in range(N):
        seq = torch.cat([seq, model(seq)[:, -1].argmax(-1, keepdim=True)], 1)
    return (seq[:, prompt_len:] == ids[:, prompt_len:prompt_len + N]).all(1).float().mean().item()


gen = torch.Generator().manual_seed(1)
train_ids, P = make(3000, gen)
val_ids, _ = make(200, gen)
model = Decoder()
opt = torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=0.01)
for epoch in range(5):
    model.train()
    tot = 0.0
    batches = torch.randperm(len(train_ids)).split(50)
    for b in batches:
        ids = train_ids[b]
        loss = lm_loss(model, ids, labels_for(ids, P))
        opt.zero_grad()
        loss.backward()
        opt.step()
        tot += loss.item()
    em = exact_match(model, val_ids, P)
    with torch.no_grad():
        v = lm_loss(model, val_ids, labels_for(val_ids, P)).item()
    print(f"epoch {epoch}: train {tot / len(batches):.4f} val {v:.4f} exact match {em:.3f}")
