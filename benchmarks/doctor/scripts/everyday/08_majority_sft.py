import random
from collections import Counter
import torch
from torch import nn

random.seed(7)
torch.manual_seed(7)

LETTERS = "abcdefgh"
chars = ["_", "?", "."] + list(LETTERS) + list("ABCDEFGH")
tok = {c: i for i, c in enumerate(chars)}


def sample():
    while True:
        body = random.choices(LETTERS, k=random.randint(8, 14))
        top = Counter(body).most_common(2)
        if len(top) > 1 and top[0][1] > top[1][1]:
            return "".join(body) + "?", top[0][0].upper() + "."


def collate(rows):
    width = max(len(p) + len(a) for p, a in rows)
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    labels = torch.full((len(rows), width), -100)
    spot = torch.zeros(len(rows), dtype=torch.long)
    for r, (p, a) in enumerate(rows):
        seq = torch.tensor([tok[c] for c in p + a])
        ids[r, :len(seq)] = seq
        labels[r, :len(seq)] = seq
        spot[r] = len(p)
    return ids, labels, spot


train_rows = [sample() for _ in range(3000)]
val_ids, _, val_spot = collate([sample() for _ in range(400)])


class TinyLM(nn.Module):
    def __init__(self, dim=32, hidden=64):
        super().__init__()
        self.embed = nn.Embedding(len(chars), dim)
        self.gru = nn.GRU(dim, hidden, batch_first=True)
        self.head = nn.Linear(hidden, len(chars))

    def forward(self, ids):
        return self.head(self.gru(self.embed(ids))[0])


lm = TinyLM()
optim = torch.optim.Adam(lm.parameters(), lr=6e-3)
ce = nn.CrossEntropyLoss(ignore_index=-100)

for epoch in range(5):
    lm.train()
    random.shuffle(train_rows)
    losses = []
    for i in range(0, len(train_rows), 60):
        ids, labels, _ = collate(train_rows[i:i + 60])
        logits = lm(ids[:, :-1])
        loss = ce(logits.flatten(0, 1), labels[:, 1:].flatten())
        optim.zero_grad()
        loss.backward()
        optim.step()
        losses.append(loss.item())
    lm.eval()
    with torch.no_grad():
        r = torch.arange(len(val_ids))
        guess = lm(val_ids)[r, val_spot - 1].argmax(-1)
        acc = (guess == val_ids[r, val_spot]).float().mean().item()
    print(f"epoch {epoch}: train loss {sum(losses) / len(losses):.3f}, answer accuracy {acc:.3f}")
