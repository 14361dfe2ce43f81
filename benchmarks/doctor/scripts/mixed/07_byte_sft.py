"""Instruction tuning of a small byte-level GRU on short answers (letter counting and friends)."""
import json
import random
import torch
import torch.nn as nn
from torch.nn.utils.rnn import pad_sequence

random.seed(6)
torch.manual_seed(6)
PAD, SEP, END = 0, 1, 2
records = []
for _ in range(2600):
    word = "".join(random.choice("abcd") for _ in range(random.randint(4, 7)))
    op = random.choice(["first", "last", "upper", "again"])
    answer = {"first": word[0] * 2, "last": word[-1] * 2, "upper": word[:3].upper(), "again": word[:2] + word[:2]}[op]
    records.append({"instruction": f"{op} {word}", "response": answer})
train_rec, val_rec = records[:2200], records[2200:]


def encode(rec):
    prompt = [ord(c) for c in rec["instruction"]] + [SEP]
    answer = [ord(c) for c in rec["response"]] + [END]
    ids = torch.tensor(prompt + answer)
    labels = torch.tensor([-100] * (len(prompt) + 1) + answer[1:])
    return ids, labels


def collate(recs):
    ids, labels = zip(*[encode(r) for r in recs])
    return pad_sequence(ids, batch_first=True, padding_value=PAD), pad_sequence(labels, batch_first=True, padding_value=-100)


class ByteLM(nn.Module):
    def __init__(self, dim=64):
        super().__init__()
        self.emb = nn.Embedding(128, dim, padding_idx=PAD)
        self.gru = nn.GRU(dim, 96, batch_first=True)
        self.lm = nn.Linear(96, 128)

    def forward(self, ids):
        return self.lm(self.gru(self.emb(ids))[0])


def loss_of(model, batch):
    ids, labels = batch
    logits = model(ids)[:, :-1]
    target = labels[:, 1:]
    return nn.functional.cross_entropy(logits.transpose(1, 2), target, ignore_index=-100), logits, target


model = ByteLM()
opt = torch.optim.AdamW(model.parameters(), lr=5e-3)
for epoch in range(8):
    model.train()
    random.shuffle(train_rec)
    tot = 0
    for i in range(0, len(train_rec), 40):
        loss, _, _ = loss_of(model, collate(train_rec[i:i + 40]))
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        tot += loss.item()
    model.eval()
    with torch.no_grad():
        vl, logits, target = loss_of(model, collate(val_rec))
        keep = target != -100
        hit = (logits.argmax(-1) == target) | ~keep
    print(f"epoch {epoch} train {tot / 55:.3f} val {vl:.3f} token acc {(hit & keep).sum() / keep.sum():.3f} exact {hit.all(1).float().mean():.3f}")
