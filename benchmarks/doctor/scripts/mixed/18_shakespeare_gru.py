"""Character model of Shakespeare with a GRU."""
import argparse
import torch
from torch import nn

ap = argparse.ArgumentParser()
ap.add_argument('--seq', type=int, default=40)
ap.add_argument('--batch', type=int, default=32)
ap.add_argument('--hidden', type=int, default=64)
ap.add_argument('--clip', type=float, default=0.005)
ap.add_argument('--lr', type=float, default=0.5)
ap.add_argument('--epochs', type=int, default=3)
opt = ap.parse_args()
torch.manual_seed(8)

raw = open('data/text/shakespeare_7plays.txt').read().lower()[2000:80000]
vocab = {c: i for i, c in enumerate(sorted(set(raw)))}
codes = torch.tensor([vocab[c] for c in raw])
rows = codes[: len(codes) // (opt.seq + 1) * (opt.seq + 1)].view(-1, opt.seq + 1)
rows = rows[torch.randperm(len(rows))]
held = rows[:250]
rows = rows[250:]


class CharGRU(nn.Module):
    def __init__(self, n, h):
        super().__init__()
        self.emb = nn.Embedding(n, 32)
        self.rnn = nn.GRU(32, h, batch_first=True)
        self.drop = nn.Dropout(0.1)
        self.out = nn.Linear(h, n)

    def forward(self, x):
        y, _ = self.rnn(self.emb(x))
        return self.out(self.drop(y))


net = CharGRU(len(vocab), opt.hidden)
ce = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(net.parameters(), lr=opt.lr, momentum=0.9)


def step_loss(chunk):
    return ce(net(chunk[:, :-1]).reshape(-1, len(vocab)), chunk[:, 1:].reshape(-1))


for epoch in range(1, opt.epochs + 1):
    net.train()
    total = k = 0
    for idx in torch.randperm(len(rows)).split(opt.batch):
        loss = step_loss(rows[idx])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), opt.clip)
        optimizer.step()
        total += loss.item()
        k += 1
    net.eval()
    with torch.no_grad():
        v = step_loss(held)
    print('epoch %d  train %.3f  held-out %.3f  perplexity %.2f' % (epoch, total / k, v, v.exp()))
