import json
import random

import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader

random.seed(9)
torch.manual_seed(9)

rows = [json.loads(line) for line in open("data/instruct/reasoning_gym_sft.jsonl")]
random.shuffle(rows)
tasks = sorted({r["task"] for r in rows})
task_id = {t: i for i, t in enumerate(tasks)}
MAX_LEN = 96


def encode(text):
    codes = [min(ord(c), 127) for c in text[:MAX_LEN]]
    return torch.tensor(codes or [1])


examples = [(encode(r["instruction"]), task_id[r["task"]]) for r in rows]
train_rows, dev_rows = examples[:3200], examples[3200:]


def collate(batch):
    x = pad_sequence([b[0] for b in batch], batch_first=True, padding_value=0)
    return x, torch.tensor([b[1] for b in batch])


class ConvAttention(nn.Module):
    """Character embeddings, one 1d convolution, attention pooling."""

    def __init__(self, n_classes, emb=16, ch=48):
        super().__init__()
        self.emb = nn.Embedding(128, emb, padding_idx=0)
        self.conv = nn.Conv1d(emb, ch, 5, padding=2)
        self.query = nn.Linear(ch, 1)
        self.drop = nn.Dropout(0.2)
        self.out = nn.Linear(ch, n_classes)

    def forward(self, x):
        h = torch.relu(self.conv(self.emb(x).transpose(1, 2))).transpose(1, 2)
        score = self.query(h).squeeze(-1).masked_fill(x == 0, float("-inf"))
        weight = score.softmax(dim=1).unsqueeze(-1)
        return self.out(self.drop((weight * h).sum(1)))


def evaluate(model, loader):
    model.eval()
    correct = total = 0
    with torch.no_grad():
        for x, y in loader:
            correct += (model(x).argmax(1) == y).sum().item()
            total += len(y)
    return correct / total


train_loader = DataLoader(train_rows, batch_size=32, shuffle=True, collate_fn=collate)
dev_loader = DataLoader(dev_rows, batch_size=128, collate_fn=collate)
model = ConvAttention(len(tasks))
loss_fn = nn.CrossEntropyLoss(label_smoothing=0.1)
opt = torch.optim.NAdam(model.parameters(), lr=4e-3)

print(f"{len(tasks)} tasks, {len(train_rows)} train, {len(dev_rows)} dev")
for epoch in range(1, 7):
    model.train()
    for x, y in train_loader:
        loss = loss_fn(model(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
    print(f"epoch {epoch}: last batch loss {loss.item():.3f}  dev accuracy {evaluate(model, dev_loader):.4f}")
