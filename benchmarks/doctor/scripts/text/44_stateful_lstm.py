import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(11)
with open("data/text/shakespeare_7plays.txt") as f:
    text = " ".join(f.read()[100000:350000].lower().split())
vocab = sorted(set(text))
lookup = {c: i for i, c in enumerate(vocab)}
arr = torch.tensor([lookup[c] for c in text])

B, T = 20, 50
cut = int(0.88 * len(arr))


def batchify(a):
    rows = len(a) // B
    return a[:rows * B].view(B, rows)


train, valid = batchify(arr[:cut]), batchify(arr[cut:])
emb = nn.Embedding(len(vocab), 32)
lstm = nn.LSTM(32, 96, batch_first=True)
dec = nn.Linear(96, len(vocab))
params = list(emb.parameters()) + list(lstm.parameters()) + list(dec.parameters())
optimizer = torch.optim.SGD(params, lr=2.0, momentum=0.9)


def run(x, state):
    h, state = lstm(emb(x), state)
    return dec(h), (state[0].detach(), state[1].detach())


def evaluate():
    state, total, count = None, 0.0, 0
    with torch.no_grad():
        for i in range(0, 20 * T, T):
            logits, state = run(valid[:, i:i + T], state)
            total += F.nll_loss(F.softmax(logits, -1).flatten(0, 1), valid[:, i + 1:i + T + 1].flatten()).item()
            count += 1
    return total / count


for epoch in range(1, 5):
    state, total, steps = None, 0.0, 0
    offset = (epoch - 1) * 50 * T
    for i in range(offset, offset + 50 * T, T):
        x, y = train[:, i:i + T], train[:, i + 1:i + T + 1]
        optimizer.zero_grad()
        logits, state = run(x, state)
        loss = F.nll_loss(F.softmax(logits, -1).flatten(0, 1), y.flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(params, 0.5)
        optimizer.step()
        total += loss.item()
        steps += 1
    print("epoch", epoch, "train", round(total / steps, 3), "valid", round(evaluate(), 3))
