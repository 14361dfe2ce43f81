from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from sklearn.metrics import roc_auc_score

NUM = ["age", "education_num", "capital_gain", "capital_loss", "hours_per_week"]
CAT = ["workclass", "marital_status", "occupation", "relationship", "race", "sex",
       "native_country"]


@dataclass
class Config:
    batch_size: int = 256
    epochs: int = 4
    lr: float = 3e-3
    weight_decay: float = 1e-3
    dropout: float = 0.1
    ema_decay: float = 0.98
    seed: int = 11


def load():
    tr = pd.read_csv("embedded/adult_train.csv.gz")
    te = pd.read_csv("embedded/adult_test.csv.gz")
    for df in (tr, te):
        df["capital_gain"] = np.log1p(df["capital_gain"])
        df["capital_loss"] = np.log1p(df["capital_loss"])
    mean, std = tr[NUM].mean(), tr[NUM].std()
    vocab = {c: {v: i + 1 for i, v in enumerate(sorted(tr[c].fillna("?").unique()))} for c in CAT}

    def encode(df):
        num = torch.tensor(((df[NUM] - mean) / std).values, dtype=torch.float32)
        cat = torch.stack([torch.tensor(df[c].fillna("?").map(vocab[c]).fillna(0).astype(int).values)
                           for c in CAT], dim=1)
        y = torch.tensor(df["income"].str.contains(">50K").values, dtype=torch.float32)
        return num, cat, y

    return encode(tr), encode(te), [len(vocab[c]) + 1 for c in CAT]


class TabNet(nn.Module):
    def __init__(self, sizes, dropout):
        super().__init__()
        dims = [min(8, (s + 1) // 2) for s in sizes]
        self.embs = nn.ModuleList(nn.Embedding(s, d) for s, d in zip(sizes, dims))
        width = sum(dims) + len(NUM)
        self.net = nn.Sequential(nn.Linear(width, 64), nn.LayerNorm(64), nn.ReLU(),
                                 nn.Dropout(dropout), nn.Linear(64, 32), nn.ReLU(),
                                 nn.Linear(32, 1))

    def forward(self, num, cat):
        e = [emb(cat[:, i]) for i, emb in enumerate(self.embs)]
        return self.net(torch.cat([num, *e], dim=1)).squeeze(1)


@torch.no_grad()
def score(model, num, cat, y):
    model.eval()
    logits = model(num, cat)
    acc = ((logits > 0).float() == y).float().mean().item()
    return acc, roc_auc_score(y.numpy(), logits.numpy())


def main(cfg=Config()):
    torch.manual_seed(cfg.seed)
    (num, cat, y), test, sizes = load()
    model = TabNet(sizes, cfg.dropout)
    ema = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(cfg.ema_decay))
    opt = torch.optim.AdamW(model.parameters(), lr=cfg.lr, weight_decay=cfg.weight_decay)
    criterion = nn.BCEWithLogitsLoss()
    for epoch in range(cfg.epochs):
        model.train()
        for idx in torch.randperm(len(y)).split(cfg.batch_size):
            loss = criterion(model(num[idx], cat[idx]), y[idx])
            opt.zero_grad()
            loss.backward()
            opt.step()
            ema.update_parameters(model)
        acc, auc = score(ema, *test)
        print(f"epoch {epoch + 1}: loss {loss.item():.3f}  ema test acc {acc:.4f} auc {auc:.4f}")
    print("raw weights: acc %.4f auc %.4f" % score(model, *test))


if __name__ == "__main__":
    main()
