import argparse
import torch
from torch import nn

p = argparse.ArgumentParser()
p.add_argument("--lr", type=float, default=2e-3)
p.add_argument("--epochs", type=int, default=5)
p.add_argument("--steps", type=int, default=30)
p.add_argument("--context", type=int, default=40)
p.add_argument("--dropout", type=float, default=0.05)
args = p.parse_args()
torch.manual_seed(3)

corpus = open("data/text/shakespeare_7plays.txt").read().lower()[20000:320000]
alphabet = sorted(set(corpus))
index = {ch: k for k, ch in enumerate(alphabet)}
tokens = torch.tensor([index[ch] for ch in corpus])
cut = len(tokens) * 9 // 10
windows = tokens.unfold(0, args.context + 1, 11)
n_train = (cut - args.context) // 11
train_w, val_w = windows[:n_train], windows[cut // 11 + 1:]


class TransformerLM(nn.Module):
    def __init__(self, n_tok, width=48, heads=4, depth=2):
        super().__init__()
        self.tok = nn.Embedding(n_tok, width)
        self.pos = nn.Parameter(torch.randn(args.context, width) * 0.02)
        layer = nn.TransformerEncoderLayer(width, heads, dim_feedforward=4 * width, dropout=args.dropout,
                                           batch_first=True, norm_first=True, activation="gelu")
        self.encoder = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, n_tok)
        self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(args.context))

    def forward(self, t):
        h = self.tok(t) + self.pos
        h = self.encoder(h, mask=self.mask)
        return self.head(self.norm(h))


def evaluate(model, loss_fn):
    model.eval()
    with torch.inference_mode():
        w = val_w[::12][:160]
        out = model(w[:, :-1])
        return loss_fn(out.transpose(1, 2), w[:, 1:]).item(), (out.argmax(-1) == w[:, 1:]).float().mean().item()


model = TransformerLM(len(alphabet))
loss_fn = nn.CrossEntropyLoss()
opt = torch.optim.AdamW(model.parameters(), lr=args.lr, weight_decay=0.01)
sched = torch.optim.lr_scheduler.LambdaLR(opt, lambda s: min(1.0, (s + 1) / 25))
for epoch in range(args.epochs):
    model.train()
    perm = torch.randperm(len(train_w))
    total = 0.0
    for s in range(args.steps):
        w = train_w[perm[s * 24:(s + 1) * 24]]
        out = model(w[:, :-1])
        loss = loss_fn(out.transpose(1, 2), w[:, 1:])
        opt.zero_grad()
        loss.backward()
        opt.step()
        sched.step()
        total += loss.item()
    vl, va = evaluate(model, loss_fn)
    print(f"epoch {epoch}: train {total / args.steps:.3f} val {vl:.3f} acc {va:.3f}")
