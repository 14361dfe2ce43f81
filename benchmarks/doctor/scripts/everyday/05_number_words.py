import random
import torch
import torch.nn as nn
import torch.nn.functional as F

random.seed(0)
torch.manual_seed(0)

ONES = "zero one two three four five six seven eight nine".split()
TENS = "none ten twenty thirty forty fifty sixty seventy eighty ninety".split()
VERBS = ["say", "spell", "write", "read"]
vocab = ["<pad>", "<end>", ":", "hundred"] + VERBS + list("0123456789") + ONES + TENS
stoi = {w: i for i, w in enumerate(vocab)}


def make_example(n):
    h, t, o = n // 100, n // 10 % 10, n % 10
    prompt = [random.choice(VERBS), str(h), str(t), str(o), ":"]
    answer = [ONES[h], "hundred", TENS[t], ONES[o], "<end>"]
    ids = [stoi[w] for w in prompt + answer]
    labels = list(ids)
    for i in range(len(prompt) + 1):
        labels[i] = -100
    return ids, labels, len(prompt)


numbers = list(range(1000))
random.shuffle(numbers)
train = [make_example(n) for n in numbers[:800]]
valid = [make_example(n) for n in numbers[800:]]
X, Y = torch.tensor([e[0] for e in train]), torch.tensor([e[1] for e in train])
V = torch.tensor([e[0] for e in valid])
P = valid[0][2]


class Speller(nn.Module):
    def __init__(self, d=48, hidden=96):
        super().__init__()
        self.emb = nn.Embedding(len(vocab), d)
        self.rnn = nn.GRU(d, hidden, batch_first=True)
        self.out = nn.Linear(hidden, len(vocab))

    def forward(self, ids):
        h, _ = self.rnn(self.emb(ids))
        return self.out(h)


model = Speller()
opt = torch.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=0.01)


@torch.no_grad()
def exact_match():
    model.eval()
    seq = V[:, :P]
    for _ in range(V.size(1) - P):
        nxt = model(seq)[:, -1].argmax(-1, keepdim=True)
        seq = torch.cat([seq, nxt], 1)
    return (seq == V).all(1).float().mean().item()


for epoch in range(15):
    model.train()
    total = 0.0
    for idx in torch.randperm(len(X)).split(40):
        logits = model(X[idx])
        loss = F.cross_entropy(logits[:, :-1].reshape(-1, len(vocab)), Y[idx][:, 1:].reshape(-1), ignore_index=-100)
        opt.zero_grad()
        loss.backward()
        opt.step()
        total += loss.item() * len(idx)
    print(f"epoch {epoch + 1}: loss {total / len(X):.4f}  exact match {exact_match():.3f}")
