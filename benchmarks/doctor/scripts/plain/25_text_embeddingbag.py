"""Text classification: which kind of puzzle is this question?"""
import json
import re
import time

import torch
from torch import nn
from torch.utils.data import DataLoader

torch.manual_seed(10)
rows = [json.loads(line) for line in open("data/instruct/reasoning_gym_sft.jsonl", encoding="utf-8")]
labels = sorted({r["task"] for r in rows})
label_id = {t: i for i, t in enumerate(labels)}


def tokenizer(s):
    return re.findall(r"[a-z]+|[0-9]|[^\sa-z0-9]", s.lower())[:60]


order = torch.randperm(len(rows)).tolist()
samples = [(label_id[rows[i]["task"]], tokenizer(rows[i]["instruction"])) for i in order]
n_test, n_valid = 700, 400
test_set, valid_set, train_set = samples[:n_test], samples[n_test:n_test + n_valid], samples[n_test + n_valid:]

counts = {}
for _, toks in train_set:
    for t in toks:
        counts[t] = counts.get(t, 0) + 1
vocab = {"<unk>": 0}
for t, c in counts.items():
    if c >= 3:
        vocab[t] = len(vocab)


def collate_batch(batch):
    label_list, text_list, offsets = [], [], [0]
    for lab, toks in batch:
        label_list.append(lab)
        ids = torch.tensor([vocab.get(t, 0) for t in toks], dtype=torch.int64)
        text_list.append(ids)
        offsets.append(ids.size(0))
    return torch.tensor(label_list), torch.cat(text_list), torch.tensor(offsets[:-1]).cumsum(dim=0)


class TextClassificationModel(nn.Module):
    def __init__(self, vocab_size, embed_dim, num_class):
        super().__init__()
        self.embedding = nn.EmbeddingBag(vocab_size, embed_dim, sparse=False)
        self.fc = nn.Linear(embed_dim, num_class)
        self.init_weights()

    def init_weights(self):
        initrange = 0.5
        self.embedding.weight.data.uniform_(-initrange, initrange)
        self.fc.weight.data.uniform_(-initrange, initrange)
        self.fc.bias.data.zero_()

    def forward(self, text, offsets):
        return self.fc(self.embedding(text, offsets))


model = TextClassificationModel(len(vocab), 64, len(labels))
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)


def train(dataloader):
    model.train()
    total = 0.0
    for label, text, offsets in dataloader:
        optimizer.zero_grad()
        loss = criterion(model(text, offsets), label)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        total += loss.item()
    return total / len(dataloader)


def evaluate(dataloader):
    model.eval()
    acc, count, loss = 0, 0, 0.0
    with torch.no_grad():
        for label, text, offsets in dataloader:
            out = model(text, offsets)
            loss += criterion(out, label).item() * len(label)
            acc += (out.argmax(1) == label).sum().item()
            count += len(label)
    return loss / count, acc / count


train_dl = DataLoader(train_set, batch_size=32, shuffle=True, collate_fn=collate_batch)
valid_dl = DataLoader(valid_set, batch_size=100, collate_fn=collate_batch)
test_dl = DataLoader(test_set, batch_size=100, collate_fn=collate_batch)
print(len(labels), "classes,", len(vocab), "words")
for epoch in range(1, 6):
    t0 = time.time()
    tr = train(train_dl)
    vl, va = evaluate(valid_dl)
    print(f"| end of epoch {epoch} | {time.time() - t0:.1f}s | train {tr:.3f} | valid {vl:.3f} accuracy {va:.3f}")
print("test accuracy %.3f" % evaluate(test_dl)[1])
