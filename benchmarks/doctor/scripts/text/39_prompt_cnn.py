import json
import random
import torch
import torch.nn as nn
import torch.nn.functional as F

random.seed(1)
torch.manual_seed(1)


def load():
    out = []
    with open("data/instruct/reasoning_gym_sft.jsonl") as fh:
        for line in fh:
            r = json.loads(line)
            out.append((r["instruction"][-60:], r["task"]))
    random.shuffle(out)
    return out


def make_vocab(texts):
    return {c: i + 2 for i, c in enumerate(sorted(set("".join(texts))))}


def to_tensor(texts, vocab, size=60):
    return torch.tensor([([vocab.get(c, 1) for c in t] + [0] * size)[:size] for t in texts])


class TextCNN(nn.Module):
    def __init__(self, n_chars, n_out, widths=(2, 3, 5)):
        super().__init__()
        self.emb = nn.Embedding(n_chars, 24, padding_idx=0)
        self.convs = nn.ModuleList([nn.Conv1d(24, 32, w) for w in widths])
        self.bn = nn.BatchNorm1d(32 * len(widths))
        self.drop = nn.Dropout(0.3)
        self.fc = nn.Linear(32 * len(widths), n_out)

    def forward(self, t):
        e = self.emb(t).transpose(1, 2)
        pooled = torch.cat([F.relu(c(e)).amax(2) for c in self.convs], 1)
        return self.fc(self.drop(self.bn(pooled)))


def train_epoch(model, x, y, opt):
    perm = torch.randperm(len(x))
    total = 0.0
    for i in range(0, len(x), 50):
        b = perm[i:i + 50]
        loss = F.cross_entropy(model(x[b]), y[b])
        opt.zero_grad()
        loss.backward()
        opt.step()
        total += loss.item() * len(b)
    return total / len(x)


@torch.no_grad()
def evaluate(model, x, y):
    model.eval()
    logits = model(x)
    return F.cross_entropy(logits, y).item(), (logits.argmax(1) == y).float().mean().item()


data = load()
train, val = data[:1500], data[1500:2300]
names = sorted({t for _, t in data})
vocab = make_vocab([t for t, _ in train])
x_train = to_tensor([t for t, _ in train], vocab)
x_val = to_tensor([t for t, _ in val], vocab)
y_train = torch.tensor([names.index(n) for _, n in train])
y_val = torch.tensor([names.index(n) for _, n in val])
model = TextCNN(len(vocab) + 2, len(names))
opt = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.01)
print("before training", evaluate(model, x_val, y_val))
for epoch in range(5):
    tl = train_epoch(model, x_train, y_train, opt)
    vl, va = evaluate(model, x_val, y_val)
    print(f"epoch {epoch}: train {tl:.3f} val {vl:.3f} acc {va:.3f}")
