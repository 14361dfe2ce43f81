"""Which play does a passage come from? Bag of words with nn.EmbeddingBag."""
import re
from collections import Counter
import torch
from torch import nn

torch.manual_seed(2)
text = open("data/text/shakespeare_7plays.txt", encoding="utf-8").read()
words = re.findall(r"[a-z']+", text.lower())
common = {w: i for i, (w, _) in enumerate(Counter(words).most_common(1500))}
seq = [common.get(w, 1500) for w in words]
K, L = 6, 60
part = len(seq) // K
passages, source = [], []
for k in range(K):
    chunk = seq[k * part:(k + 1) * part]
    for i in range(0, len(chunk) - L, L):
        passages.append(chunk[i:i + L])
        source.append(k)
P, S = torch.tensor(passages), torch.tensor(source)
mix = torch.randperm(len(P))
P, S = P[mix], S[mix]
n = int(0.8 * len(P))
print(len(P), "passages")


class Bag(nn.Module):
    def __init__(self, vocab, dim, classes):
        super().__init__()
        self.bag = nn.EmbeddingBag(vocab, dim, mode="mean")
        self.drop = nn.Dropout(0.4)
        self.fc = nn.Linear(dim, classes)

    def forward(self, x):
        return self.fc(self.drop(self.bag(x)))


model = Bag(1501, 48, K)
opt = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.1)
loss_fn = nn.CrossEntropyLoss()
for epoch in range(6):
    model.train()
    tot = 0.0
    for idx in torch.randperm(n).split(32):
        loss = loss_fn(model(P[idx]), S[idx])
        opt.zero_grad()
        loss.backward()
        opt.step()
        tot += loss.item() * len(idx)
    model.eval()
    with torch.inference_mode():
        out = model(P[n:])
        print(f"epoch {epoch} loss {tot / n:.4f} val {loss_fn(out, S[n:]):.4f} acc {(out.argmax(1) == S[n:]).float().mean():.3f}")
