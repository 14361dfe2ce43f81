import torch
import torch.nn.functional as F

text = open("data/text/shakespeare_7plays.txt", encoding="utf-8").read()[:200_000]
vocab = sorted(set(text))
stoi = {c: i for i, c in enumerate(vocab)}
ids = torch.tensor([stoi[c] for c in text])
V, context, n_emb, n_hidden = len(vocab), 8, 16, 160

n_val = len(ids) // 10
split = {"train": ids[:-n_val], "val": ids[-n_val:]}


def examples(name):
    windows = split[name].unfold(0, context + 1, 1)
    return windows[:, :context], windows[:, context]


Xtr, Ytr = examples("train")
Xva, Yva = examples("val")

g = torch.Generator().manual_seed(2147483647)
C = torch.randn((V, n_emb), generator=g)
W1 = torch.randn((context * n_emb, n_hidden), generator=g)
b1 = torch.zeros(n_hidden)
W2 = torch.randn((n_hidden, V), generator=g)
b2 = torch.zeros(V)
params = [C, W1, b1, W2, b2]
for p in params:
    p.requires_grad_()
print("vocab", V, "parameters", sum(p.nelement() for p in params))


def forward(x):
    h = torch.tanh(C[x].flatten(1) @ W1 + b1)
    return h @ W2 + b2


@torch.no_grad()
def val_loss(n=4000):
    pick = torch.randperm(len(Xva), generator=torch.Generator().manual_seed(0))[:n]
    return F.cross_entropy(forward(Xva[pick]), Yva[pick]).item()


opt = torch.optim.SGD(params, lr=0.3, momentum=0.5)
max_steps, batch = 2000, 64
seen = []
for step in range(max_steps):
    ix = torch.randint(0, len(Xtr), (batch,), generator=g)
    loss = F.cross_entropy(forward(Xtr[ix]), Ytr[ix])
    for group in opt.param_groups:
        group["lr"] = 0.3 if step < 0.7 * max_steps else 0.03
    opt.zero_grad()
    loss.backward()
    opt.step()
    seen.append(loss.item())
    if step % 400 == 0 or step == max_steps - 1:
        recent = seen[-100:]
        print(f"{step:5d}/{max_steps}: train {sum(recent) / len(recent):.4f}  val {val_loss():.4f}")
