# Instruction tuning of a small causal model on synthetic orders, loss on the answers only
import random
import torch
from torch import nn
import torch.nn.functional as F

random.seed(40)
torch.manual_seed(40)
NAMES = ["anna", "ben", "cleo", "dan", "eve", "finn"]
GOODS = ["apples", "pears", "plums", "nuts", "figs", "limes"]
WORDS = ["<pad>", "<eos>", "Q:", "A:", "has", "and", "who", "what", "first", "last", "?"] + NAMES + GOODS
IDX = {w: i for i, w in enumerate(WORDS)}


def example():
    a, b = random.sample(NAMES, 2)
    g, h = random.sample(GOODS, 2)
    kind, place = random.choice(["who", "what"]), random.choice(["first", "last"])
    ans = {("who", "first"): a, ("who", "last"): b, ("what", "first"): g, ("what", "last"): h}[kind, place]
    prompt = ["Q:", a, "has", g, "and", b, "has", h, kind, place, "?", "A:"]
    return [IDX[w] for w in prompt], [IDX[ans], IDX["<eos>"]]


def tensors(n):
    rows = [example() for _ in range(n)]
    ids = torch.tensor([p + a for p, a in rows])
    labels = torch.tensor([[-100] * len(p) + a for p, a in rows])
    return ids, labels


train_ids, train_labels = tensors(2000)
val_ids, val_labels = tensors(400)


class CausalLM(nn.Module):
    def __init__(self, d=48):
        super().__init__()
        self.tok, self.pos = nn.Embedding(len(WORDS), d), nn.Embedding(16, d)
        layer = nn.TransformerEncoderLayer(d, 4, 96, dropout=0.0, batch_first=True, norm_first=True)
        self.enc = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.norm, self.lm_head = nn.LayerNorm(d), nn.Linear(d, len(WORDS), bias=False)

    def forward(self, ids):
        T = ids.shape[1]
        mask = torch.triu(torch.full((T, T), float("-inf")), 1)
        return self.lm_head(self.norm(self.enc(self.tok(ids) + self.pos(torch.arange(T)), mask=mask)))


model = CausalLM()
opt = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01)
for epoch in range(7):
    model.train()
    tot = 0.0
    for b in torch.randperm(len(train_ids)).split(50):
        logits = model(train_ids[b])[:, :-1]
        loss = F.cross_entropy(logits.flatten(0, 1), train_labels[b][:, 1:].flatten(), ignore_index=-100)
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        tot += loss.item() * len(b)
    model.eval()
    with torch.no_grad():
        pred = model(val_ids)[:, -3].argmax(-1)
        print(f"epoch {epoch} train {tot / len(train_ids):.4f} val answer acc {(pred == val_ids[:, -2]).float().mean().item():.4f}")
