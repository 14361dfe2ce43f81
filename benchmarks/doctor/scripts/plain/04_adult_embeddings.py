# %% [markdown]
# # Census income: entity embeddings + numeric features

# %%
import numpy as np
import polars as pl
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

SEED = 2026
np.random.seed(SEED)
torch.manual_seed(SEED)

# %%
train = pl.read_csv("embedded/adult_train.csv.gz", null_values="?")
test = pl.read_csv("embedded/adult_test.csv.gz", null_values="?")
CAT = ["workclass", "education", "marital_status", "occupation", "relationship", "race", "sex", "native_country"]
NUM = ["age", "education_num", "capital_gain", "capital_loss", "hours_per_week"]

# %%
vocab = {c: {v: i + 1 for i, v in enumerate(sorted(train[c].drop_nulls().unique().to_list()))} for c in CAT}


def cats(df):
    return torch.tensor([[vocab[c].get(v, 0) for v in df[c].to_list()] for c in CAT]).T.contiguous()


def nums(df):
    a = df.select(NUM).to_numpy().astype(np.float32)
    a[:, 2:4] = np.log1p(a[:, 2:4])
    return a


mu, sd = nums(train).mean(0), nums(train).std(0)


def build(df):
    y = torch.tensor([float(">50K" in v) for v in df["income"].to_list()])
    return cats(df), torch.from_numpy((nums(df) - mu) / sd), y


xc, xn, y = build(train)
perm = torch.randperm(len(y))
va, tr = perm[:5000], perm[5000:]
train_dl = DataLoader(TensorDataset(xc[tr], xn[tr], y[tr]), batch_size=256, shuffle=True)
valid_dl = DataLoader(TensorDataset(xc[va], xn[va], y[va]), batch_size=2000)
test_dl = DataLoader(TensorDataset(*build(test)), batch_size=2000)


# %%
class TabularModel(nn.Module):
    def __init__(self, sizes, n_num):
        super().__init__()
        self.embeds = nn.ModuleList([nn.Embedding(n, min(8, (n + 1) // 2)) for n in sizes])
        n_emb = sum(e.embedding_dim for e in self.embeds)
        self.layers = nn.Sequential(
            nn.Linear(n_emb + n_num, 64), nn.ReLU(), nn.Dropout(0.1),
            nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, c, n):
        e = [emb(c[:, i]) for i, emb in enumerate(self.embeds)]
        return self.layers(torch.cat(e + [n], 1)).squeeze(1)


model = TabularModel([len(v) + 1 for v in vocab.values()], len(NUM))
loss_fn = nn.BCEWithLogitsLoss()
opt = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-2)


# %%
def evaluate(dl):
    model.eval()
    tot, hit, n = 0.0, 0, 0
    with torch.no_grad():
        for c, x, t in dl:
            out = model(c, x)
            tot += loss_fn(out, t).item() * len(t)
            hit += ((out > 0).float() == t).sum().item()
            n += len(t)
    return tot / n, hit / n


# %%
best, best_state, wait = 1e9, None, 0
for epoch in range(8):
    model.train()
    losses = []
    for c, x, t in train_dl:
        opt.zero_grad()
        loss = loss_fn(model(c, x), t)
        loss.backward()
        opt.step()
        losses.append(loss.item())
    vl, vacc = evaluate(valid_dl)
    print(f"epoch {epoch}: train {np.mean(losses):.4f} valid {vl:.4f} acc {vacc:.4f}")
    if vl < best:
        best, wait = vl, 0
        best_state = {k: v.clone() for k, v in model.state_dict().items()}
    else:
        wait += 1
        if wait >= 2:
            print("early stop")
            break

# %%
model.load_state_dict(best_state)
print("test loss %.4f accuracy %.4f" % evaluate(test_dl))
