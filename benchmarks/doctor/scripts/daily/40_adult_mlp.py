import gzip
import polars as pl
import torch
from torch import nn

torch.manual_seed(0)
df = pl.read_csv(gzip.open("embedded/adult_train.csv.gz").read()).sample(6000, seed=1)
num = ["age", "fnlwgt", "education_num", "capital_gain", "capital_loss", "hours_per_week"]
numeric = torch.tensor(df.select(num).cast(pl.Float32).to_numpy())
cats = df.select(["workclass", "marital_status", "occupation", "sex"]).to_dummies()
X = torch.cat([numeric, torch.tensor(cats.cast(pl.Float32).to_numpy())], dim=1)
y = torch.tensor((df["income"].str.strip_chars() == ">50K").to_numpy()).float()
Xtr, Xva, ytr, yva = X[:4800], X[4800:], y[:4800], y[4800:]

net = nn.Sequential(nn.Linear(X.shape[1], 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 1))
opt = torch.optim.Adam(net.parameters(), lr=1e-3)
bce = nn.BCEWithLogitsLoss()

for epoch in range(10):
    net.train()
    running = 0.0
    for b in torch.randperm(len(Xtr)).split(64):
        opt.zero_grad()
        loss = bce(net(Xtr[b]).squeeze(-1), ytr[b])
        loss.backward()
        opt.step()
        running += loss.item() * len(b)
    net.eval()
    with torch.no_grad():
        logit = net(Xva).squeeze(-1)
    acc = ((logit > 0) == (yva > 0.5)).float().mean()
    print(f"epoch {epoch} train {running / len(Xtr):.4f} val {bce(logit, yva):.4f} acc {acc:.4f}")
