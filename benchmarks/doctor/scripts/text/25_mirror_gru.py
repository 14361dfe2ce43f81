import torch
import torch.nn as nn

torch.manual_seed(2)
N_SYM, LEN, HID = 8, 5, 64
BOS = N_SYM
seqs = torch.unique(torch.randint(0, N_SYM, (9000, LEN)), dim=0)
seqs = seqs[torch.randperm(len(seqs))]
train, test = seqs[:-600], seqs[-600:]


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(N_SYM, 32)
        self.rnn = nn.GRU(32, HID, batch_first=True)

    def forward(self, x):
        return self.rnn(self.emb(x))[1]


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(N_SYM + 1, 32)
        self.rnn = nn.GRU(32, HID, batch_first=True)
        self.out = nn.Linear(HID, N_SYM)

    def forward(self, tgt_in, h):
        o, h = self.rnn(self.emb(tgt_in), h)
        return self.out(o), h


encoder, decoder = Encoder(), Decoder()
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(decoder.parameters(), lr=5e-3)


@torch.no_grad()
def exact_match(src):
    encoder.eval(); decoder.eval()
    h = encoder(src)
    tok = torch.full((len(src), 1), BOS)
    preds = []
    for _ in range(LEN):
        logits, h = decoder(tok, h)
        tok = logits.argmax(-1)
        preds.append(tok)
    pred = torch.cat(preds, 1)
    return (pred == src.flip(1)).all(1).float().mean().item()


for epoch in range(3):
    encoder.train(); decoder.train()
    order = torch.randperm(len(train))
    losses = []
    for i in range(0, len(train) - 63, 64):
        src = train[order[i:i + 64]]
        tgt = src.flip(1)
        tgt_in = torch.cat([torch.full((len(src), 1), BOS), tgt[:, :-1]], 1)
        logits, _ = decoder(tgt_in, encoder(src))
        loss = criterion(logits.reshape(-1, N_SYM), tgt.reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    print(f"epoch {epoch}: loss {sum(losses) / len(losses):.3f}  exact match {exact_match(test):.3f}")
