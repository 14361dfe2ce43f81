import torch
import torch.nn as nn

torch.manual_seed(0)
text = open("data/text/shakespeare_7plays.txt", encoding="utf-8").read()[:300000]
chars = sorted(set(text))
stoi = {c: i for i, c in enumerate(chars)}
data = torch.tensor([stoi[c] for c in text])
split = int(0.9 * len(data))
train_data, val_data = data[:split], data[split:]
SEQ, BATCH = 64, 32


def get_batch(source):
    ix = torch.randint(len(source) - SEQ - 1, (BATCH,))
    x = torch.stack([source[i:i + SEQ] for i in ix])
    y = torch.stack([source[i + 1:i + SEQ + 1] for i in ix])
    return x, y


class CharGRU(nn.Module):
    def __init__(self, vocab, emb=48, hidden=96):
        super().__init__()
        self.emb = nn.Embedding(vocab, emb)
        self.gru = nn.GRU(emb, hidden, batch_first=True)
        self.out = nn.Linear(hidden, vocab)

    def forward(self, x):
        h, _ = self.gru(self.emb(x))
        return self.out(h)


model = CharGRU(len(chars))
opt = torch.optim.Adam(model.parameters(), lr=4e-3)
loss_fn = nn.CrossEntropyLoss()

for epoch in range(5):
    model.train()
    running = 0.0
    for _ in range(40):
        x, y = get_batch(train_data)
        logits = model(x)
        loss = loss_fn(logits.reshape(-1, len(chars)), y.reshape(-1))
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        running += loss.item()
    model.eval()
    with torch.no_grad():
        val = 0.0
        for _ in range(8):
            x, y = get_batch(val_data)
            val += loss_fn(model(x).reshape(-1, len(chars)), y.reshape(-1)).item() / 8
    print(f"epoch {epoch + 1}: train {running / 40:.3f}  val {val:.3f}")
