# Next-character LSTM with clipped gradients
import math
import torch
from torch import nn

torch.manual_seed(26)
with open("data/text/shakespeare_7plays.txt", encoding="utf-8") as fh:
    text = fh.read()[300000:420000].lower()
vocab = sorted(set(text))
enc = {c: i for i, c in enumerate(vocab)}
ids = torch.tensor([enc[c] for c in text])
SEQ, BATCH = 32, 32
n_val = 10000
train_ids, val_ids = ids[:-n_val], ids[-n_val:]


class CharLSTM(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(len(vocab), 32)
        self.lstm = nn.LSTM(32, 112, batch_first=True)
        self.drop = nn.Dropout(0.1)
        self.out = nn.Linear(112, len(vocab))

    def forward(self, x):
        h, _ = self.lstm(self.embed(x))
        return self.out(self.drop(h))


net = CharLSTM()
opt = torch.optim.Adam(net.parameters(), lr=1.6e-2)
steps = 300
sched = torch.optim.lr_scheduler.LinearLR(opt, 1.0, 0.05, total_iters=steps)
lossf = nn.CrossEntropyLoss()
val = val_ids[:(n_val // (SEQ + 1)) * (SEQ + 1)].view(-1, SEQ + 1)
for step in range(1, steps + 1):
    net.train()
    starts = torch.randint(0, len(train_ids) - SEQ - 1, (BATCH, 1))
    chunk = train_ids[starts + torch.arange(SEQ + 1)]
    logits = net(chunk[:, :-1])
    loss = lossf(logits.flatten(0, 1), chunk[:, 1:].flatten())
    opt.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(net.parameters(), max_norm=1.0)
    opt.step()
    sched.step()
    if step % 50 == 0:
        net.eval()
        with torch.no_grad():
            v = lossf(net(val[:, :-1]).flatten(0, 1), val[:, 1:].flatten()).item()
        print(f"step {step} train {loss.item():.3f} val {v:.3f} perplexity {math.exp(v):.2f}")
