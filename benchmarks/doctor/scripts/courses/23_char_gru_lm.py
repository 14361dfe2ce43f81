"""GRU character model with a linearly decaying learning rate."""
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, Dataset

torch.manual_seed(16)


class CharChunks(Dataset):
    def __init__(self, ids, length):
        self.ids, self.length = ids, length

    def __len__(self):
        return (len(self.ids) - 1) // self.length

    def __getitem__(self, k):
        s = k * self.length
        return self.ids[s:s + self.length], self.ids[s + 1:s + self.length + 1]


text = open("data/text/shakespeare_7plays.txt").read()[100000:150000].lower()
alphabet = sorted(set(text))
ids = torch.tensor([alphabet.index(c) for c in text])
n = 44000
train_dl = DataLoader(CharChunks(ids[:n], 40), batch_size=32, shuffle=True, drop_last=True)
val_dl = DataLoader(CharChunks(ids[n:], 40), batch_size=64)


class GRUModel(nn.Module):
    def __init__(self, vocab, d=32, h=64):
        super().__init__()
        self.emb = nn.Embedding(vocab, d)
        self.rnn = nn.GRU(d, h, batch_first=True)
        self.proj = nn.Linear(h, vocab)

    def forward(self, x):
        return self.proj(self.rnn(self.emb(x))[0])


EPOCHS = 7
model = GRUModel(len(alphabet))
opt = torch.optim.AdamW(model.parameters(), lr=8e-3, weight_decay=0.01)
total_steps = EPOCHS
sched = torch.optim.lr_scheduler.LambdaLR(opt, lambda s: max(0.0, 1 - s / total_steps))
ce = nn.CrossEntropyLoss()
for epoch in range(EPOCHS):
    model.train()
    s = 0.0
    for x, y in train_dl:
        opt.zero_grad()
        loss = ce(model(x).transpose(1, 2), y)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        sched.step()
        s += loss.item()
    model.eval()
    with torch.no_grad():
        v = sum(ce(model(x).transpose(1, 2), y).item() for x, y in val_dl) / len(val_dl)
    print(f"epoch {epoch + 1}: train loss {s / len(train_dl):.3f}, val loss {v:.3f}")
