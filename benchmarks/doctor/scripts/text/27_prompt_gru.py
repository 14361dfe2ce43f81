import json
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset, random_split

torch.manual_seed(5)
rows = [json.loads(line) for line in open("data/instruct/reasoning_gym_sft.jsonl")]
tasks = sorted({r["task"] for r in rows})
charset = sorted({c for r in rows for c in r["instruction"].lower()[:48]})
code = {c: i + 1 for i, c in enumerate(charset)}


def encode(s, n=48):
    v = [code[c] for c in s.lower()[:n]]
    return v + [0] * (n - len(v))


X = torch.tensor([encode(r["instruction"]) for r in rows])
y = torch.tensor([tasks.index(r["task"]) for r in rows])
full = TensorDataset(X, y)
train_set, val_set = random_split(full, [1600, len(full) - 1600], generator=torch.Generator().manual_seed(0))
val_set = torch.utils.data.Subset(val_set, range(600))
train_loader = DataLoader(train_set, batch_size=40, shuffle=True)
val_loader = DataLoader(val_set, batch_size=200)


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(len(charset) + 1, 24, padding_idx=0)
        self.rnn = nn.GRU(24, 48, batch_first=True, bidirectional=True)
        self.drop = nn.Dropout(0.2)
        self.fc = nn.Linear(96, len(tasks))

    def forward(self, x):
        h, _ = self.rnn(self.embed(x))
        return torch.softmax(self.fc(self.drop(h.mean(1))), dim=1)


model = Classifier()
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)

for epoch in range(3):
    model.train()
    for xb, yb in train_loader:
        optimizer.zero_grad()
        loss = criterion(model(xb), yb)
        loss.backward()
        optimizer.step()
    model.eval()
    correct = total = 0
    with torch.no_grad():
        for xb, yb in val_loader:
            correct += (model(xb).argmax(1) == yb).sum().item()
            total += len(yb)
    print(f"epoch {epoch + 1} loss {loss.item():.4f} val acc {correct / total:.3f}")
