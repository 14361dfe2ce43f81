import json
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(23)
rows = [json.loads(l) for l in open("data/instruct/reasoning_gym_sft.jsonl", encoding="utf-8")]
rows = [r for r in rows if len(r["instruction"]) < 70 and len(r["response"]) < 16][:1000]
vocab = sorted({c for r in rows for c in r["instruction"] + r["response"]})
stoi = {c: i + 3 for i, c in enumerate(vocab)}
PAD, SEP, EOS, T = 0, 1, 2, 90


def encode(r):
    p = [stoi[c] for c in r["instruction"]] + [SEP]
    a = [stoi[c] for c in r["response"]] + [EOS]
    ids = p + a
    lab = [-100] * len(p) + a
    pad = T - len(ids)
    return ids + [PAD] * pad, lab + [-100] * pad


enc = [encode(r) for r in rows]
ids = torch.tensor([e[0] for e in enc])
lab = torch.tensor([e[1] for e in enc])
perm = torch.randperm(len(ids))
n_val = len(ids) // 6
va, tr = perm[:n_val], perm[n_val:]


class LM(nn.Module):
    def __init__(self, V, d=64):
        super().__init__()
        self.emb = nn.Embedding(V, 32, padding_idx=PAD)
        self.rnn = nn.GRU(32, d, batch_first=True)
        self.drop = nn.Dropout(0.1)
        self.out = nn.Linear(d, V)

    def forward(self, x):
        return self.out(self.drop(self.rnn(self.emb(x))[0]))


def answer_loss(model, i):
    logits = model(ids[i])[:, :-1]
    return F.cross_entropy(logits.flatten(0, 1), lab[i][:, 1:].flatten(), ignore_index=-100)


model = LM(len(vocab) + 3)
opt = torch.optim.AdamW(model.parameters(), lr=2e-2)
epochs = 5
sched = torch.optim.lr_scheduler.LinearLR(opt, 1.0, 0.1, total_iters=epochs)
for epoch in range(epochs):
    model.train()
    for b in tr[torch.randperm(len(tr))].split(32):
        loss = answer_loss(model, b)
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
    sched.step()
    model.eval()
    with torch.inference_mode():
        v = answer_loss(model, va)
    print(f"epoch {epoch} answer loss {loss.item():.3f} held-out answer loss {v.item():.3f}")
