import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(7)
VOCAB = list("0123456789") + ["rev", "inc", "rot", "=", "<eos>"]
ID = {t: i for i, t in enumerate(VOCAB)}


def make_example():
    op = ["rev", "inc", "rot"][torch.randint(3, ()).item()]
    d = torch.randint(10, (3,)).tolist()
    ans = {"rev": d[::-1], "inc": [(v + 1) % 10 for v in d], "rot": d[1:] + d[:1]}[op]
    prompt = [ID[op]] + d + [ID["="]]
    return prompt, ans + [ID["<eos>"]]


def encode(prompt, answer):
    ids = torch.tensor(prompt + answer)
    labels = ids.clone()
    labels[:len(prompt)+ 1] = -100
    return ids, labels


data = [encode(*make_example()) for _ in range(2400)]
ids = torch.stack([a for a, _ in data])
labels = torch.stack([b for _, b in data])
train_ids, train_lab = ids[:2000], labels[:2000]
val_ids = ids[2000:]
PLEN = 5


class TinyGPT(nn.Module):
    def __init__(self, d=64):
        super().__init__()
        self.tok = nn.Embedding(len(VOCAB), d)
        self.pos = nn.Embedding(12, d)
        layer = nn.TransformerEncoderLayer(d, 4, 128, dropout=0.0, batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.out = nn.Linear(d, len(VOCAB))

    def forward(self, x):
        T = x.shape[1]
        mask = nn.Transformer.generate_square_subsequent_mask(T)
        h = self.tok(x) + self.pos(torch.arange(T))
        return self.out(self.blocks(h, mask=mask, is_causal=True))


model = TinyGPT()
opt = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01)


@torch.no_grad()
def exact_match():
    model.eval()
    seq = val_ids[:, :PLEN]
    for _ in range(4):
        seq = torch.cat([seq, model(seq)[:, -1].argmax(-1, keepdim=True)], 1)
    return (seq == val_ids).all(1).float().mean().item()


for epoch in range(10):
    model.train()
    perm = torch.randperm(len(train_ids))
    total = 0.0
    for i in range(0, len(perm), 64):
        b = perm[i:i + 64]
        logits = model(train_ids[b])
        loss = F.cross_entropy(logits[:, :-1].reshape(-1, len(VOCAB)), train_lab[b][:, 1:].reshape(-1), ignore_index=-100)
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        total += loss.item() * len(b)
    print(f"epoch {epoch} loss {total / len(perm):.4f} val exact match {exact_match():.3f}")
