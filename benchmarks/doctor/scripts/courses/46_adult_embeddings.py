"""Income table with learned embeddings for the categories; the classes stay as unbalanced as they are."""
import polars as pl
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(115)
df = pl.read_csv("embedded/adult_train.csv.gz", infer_schema_length=5000).sample(7000, seed=15, shuffle=True)
cats = ["workclass", "education", "marital_status", "occupation", "relationship", "sex"]
nums = ["age", "fnlwgt", "education_num", "capital_gain", "capital_loss", "hours_per_week"]
codes, sizes = [], []
for c in cats:
    column = df[c].fill_null("unknown").to_list()
    values = {v: i for i, v in enumerate(sorted(set(column)))}
    sizes.append(len(values))
    codes.append(torch.tensor([values[v] for v in column]))
codes = torch.stack(codes, 1)
num = torch.tensor(df.select(nums).to_numpy().astype("float32"))
num[:, 3:5] = num[:, 3:5].log1p()
y = torch.tensor([float(v.strip() == ">50K") for v in df["income"].to_list()])
n = 5600
num = (num - num[:n].mean(0)) / num[:n].std(0)


class TableNet(nn.Module):
    def __init__(self, dim=6):
        super().__init__()
        self.embs = nn.ModuleList(nn.Embedding(s, dim) for s in sizes)
        self.mlp = nn.Sequential(nn.Linear(dim * len(sizes) + len(nums), 48), nn.ReLU(), nn.Dropout(0.2), nn.Linear(48, 1))

    def forward(self, c, x):
        e = [emb(c[:, i]) for i, emb in enumerate(self.embs)]
        return self.mlp(torch.cat(e + [x], 1)).squeeze(1)


model = TableNet()
opt = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01)
bce = nn.BCEWithLogitsLoss()
dl = DataLoader(TensorDataset(codes[:n], num[:n], y[:n]), batch_size=100, shuffle=True)
for epoch in range(7):
    model.train()
    t = 0.0
    for c, x, lab in dl:
        opt.zero_grad()
        loss = bce(model(c, x), lab)
        loss.backward()
        opt.step()
        t += loss.item()
    model.eval()
    with torch.inference_mode():
        z = model(codes[n:], num[n:])
        acc = ((z > 0).float() == y[n:]).float().mean().item()
    print(f"epoch {epoch} train {t / len(dl):.4f} val {bce(z, y[n:]).item():.4f} acc {acc:.4f} (all negative {1 - y[n:].mean().item():.4f})")
