import random
import torch
from torch import nn
from torch.utils.data import DataLoader

random.seed(1)
torch.manual_seed(1)
GOOD = [f"good{i}" for i in range(25)]
BAD = [f"bad{i}" for i in range(25)]
FILL = [f"w{i}" for i in range(150)]
SPECIAL = ["<pad>", "Review:", "Verdict:", "positive", "negative", "mixed", "."]
vocab = {w: i for i, w in enumerate(SPECIAL + GOOD + BAD + FILL)}


def sample():
    n = random.randint(10, 18)
    words = random.choices(FILL, k=n)
    kind = random.choice(["positive", "negative", "mixed"])
    g, b = {"positive": (3, 0), "negative": (0, 3), "mixed": (2, 2)}[kind]
    for w in random.choices(GOOD, k=g) + random.choices(BAD, k=b):
        words.insert(random.randint(0, len(words)), w)
    return ["Review:"] + words + ["Verdict:"], [kind, "."]


def collate(batch):
    T = max(len(p) + len(a) for p, a in batch)
    ids = torch.zeros(len(batch), T, dtype=torch.long)
    labels = torch.full((len(batch), T), -100)
    for r, (p, a) in enumerate(batch):
        row = torch.tensor([vocab[w] for w in p + a])
        ids[r, :len(row)] = row
        labels[r, :len(row)] = row
    return ids, labels


train = [sample() for _ in range(1500)]
test = [sample() for _ in range(300)]
loader = DataLoader(train, batch_size=32, shuffle=True, collate_fn=collate)
test_loader = DataLoader(test, batch_size=100, collate_fn=collate)


class LM(nn.Module):
    def __init__(self, d=48):
        super().__init__()
        self.emb = nn.Embedding(len(vocab), d)
        self.rnn = nn.GRU(d, 64, batch_first=True)
        self.head = nn.Linear(64, len(vocab))

    def forward(self, ids):
        return self.head(self.rnn(self.emb(ids))[0])


lm = LM()
optimizer = torch.optim.Adam(lm.parameters(), lr=3e-3)
criterion = nn.CrossEntropyLoss(ignore_index=-100)
verdicts = torch.tensor([vocab["positive"], vocab["negative"], vocab["mixed"]])

for epoch in range(8):
    lm.train()
    running = 0.0
    for ids, labels in loader:
        optimizer.zero_grad()
        logits = lm(ids)
        loss = criterion(logits[:, :-1].transpose(1, 2), labels[:, 1:])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(lm.parameters(), 1.0)
        optimizer.step()
        running += loss.item()
    lm.eval()
    right = seen = 0
    with torch.no_grad():
        for ids, labels in test_loader:
            pred = lm(ids)[:, :-1].argmax(-1)
            at = torch.isin(ids[:, 1:], verdicts)
            right += (pred[at] == ids[:, 1:][at]).sum().item()
            seen += at.sum().item()
    print(f"{epoch}: loss={running / len(loader):.3f} verdict accuracy={right / seen:.3f}")
