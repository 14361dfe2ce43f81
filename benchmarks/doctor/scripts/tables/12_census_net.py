"""Income prediction on the census table with entity embeddings."""
import numpy as np
import polars as pl
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
PATH = "embedded/adult_train.csv.gz"
CATS = ["workclass", "education", "marital_status", "occupation", "relationship", "race", "sex"]
NUMS = ["age", "fnlwgt", "capital_gain", "capital_loss", "hours_per_week"]

df = pl.read_csv(PATH).sample(n=10000, seed=1, shuffle=True)
codes, sizes = [], []
for c in CATS:
    levels, idx = np.unique(df[c].to_numpy().astype(str), return_inverse=True)
    codes.append(idx)
    sizes.append(len(levels))
cat = torch.tensor(np.stack(codes, 1), dtype=torch.long)
num = df.select(NUMS).to_numpy().astype("float32")
num[:, 2:4] = np.log(num[:, 2:4])
num = (num - num[:8000].mean(0)) / num[:8000].std(0)
num = torch.tensor(num)
y = torch.tensor((df["income"].to_numpy().astype(str) == ">50K").astype("float32"))

train = TensorDataset(cat[:8000], num[:8000], y[:8000])
valid = TensorDataset(cat[8000:], num[8000:], y[8000:])
train_dl = DataLoader(train, batch_size=128, shuffle=True)
valid_dl = DataLoader(valid, batch_size=500)


class TabNet(nn.Module):
    def __init__(self, sizes, n_num):
        super().__init__()
        self.embeds = nn.ModuleList([nn.Embedding(n, min(8, (n + 1) // 2)) for n in sizes])
        width = sum(e.embedding_dim for e in self.embeds) + n_num
        self.body = nn.Sequential(nn.Linear(width, 64), nn.ReLU(), nn.Dropout(0.1), nn.Linear(64, 32), nn.ReLU())
        self.out = nn.Linear(32, 1)

    def forward(self, cat, num):
        z = torch.cat([e(cat[:, i]) for i, e in enumerate(self.embeds)] + [num], 1)
        return self.out(self.body(z)).squeeze(1)


model = TabNet(sizes, num.shape[1])
criterion = nn.BCEWithLogitsLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

for epoch in range(6):
    model.train()
    running = 0.0
    for c, n, t in train_dl:
        optimizer.zero_grad()
        loss = criterion(model(c, n), t)
        loss.backward()
        optimizer.step()
        running += loss.item() * len(t)
    model.eval()
    hits, vloss = 0, 0.0
    with torch.no_grad():
        for c, n, t in valid_dl:
            logit = model(c, n)
            vloss += criterion(logit, t).item() * len(t)
            hits += ((logit > 0).float() == t).sum().item()
    print(f"epoch {epoch} train {running / 8000:.4f} valid {vloss / 2000:.4f} acc {hits / 2000:.4f}")
