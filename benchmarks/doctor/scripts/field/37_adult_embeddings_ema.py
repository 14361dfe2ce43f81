import numpy as np
import pandas as pd
import torch
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler

torch.manual_seed(31)
CATS = ["workclass", "education", "marital_status", "occupation", "relationship", "race", "sex", "native_country"]
NUMS = ["age", "capital_gain", "capital_loss", "hours_per_week"]


class TabNet(nn.Module):
    def __init__(self, sizes, n_num):
        super().__init__()
        dims = [min(8, (s + 1) // 2) for s in sizes]
        self.tables = nn.ModuleList(nn.Embedding(s, d) for s, d in zip(sizes, dims))
        self.mlp = nn.Sequential(
            nn.Linear(sum(dims) + n_num, 64), nn.LayerNorm(64), nn.ReLU(), nn.Dropout(0.25),
            nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, cat, num):
        e = [t(cat[:, i]) for i, t in enumerate(self.tables)]
        return self.mlp(torch.cat(e + [num], 1)).squeeze(1)


def prepare():
    tr = pd.read_csv("embedded/adult_train.csv.gz").fillna("?").sample(8000, random_state=1)
    te = pd.read_csv("embedded/adult_test.csv.gz").fillna("?").sample(4000, random_state=1)
    codes_tr, codes_te, sizes = [], [], []
    for c in CATS:
        levels = {v: i + 1 for i, v in enumerate(sorted(tr[c].unique()))}  # 0 = unseen
        codes_tr.append(tr[c].map(levels))
        codes_te.append(te[c].map(levels).fillna(0).astype(int))
        sizes.append(len(levels) + 1)
    for d in (tr, te):
        d[["capital_gain", "capital_loss"]] = np.log1p(d[["capital_gain", "capital_loss"]])
    m, s = tr[NUMS].mean(), tr[NUMS].std()
    pack = []
    for d, codes in ((tr, codes_tr), (te, codes_te)):
        pack.append(TensorDataset(
            torch.tensor(np.column_stack(codes), dtype=torch.long),
            torch.tensor(((d[NUMS] - m) / s).to_numpy(), dtype=torch.float32),
            torch.tensor(d["income"].str.contains(">50K").to_numpy(), dtype=torch.float32)))
    return pack[0], pack[1], sizes


train, test, sizes = prepare()
y = train.tensors[2].long()
weights = (1.0 / torch.bincount(y).float())[y]
loader = DataLoader(train, batch_size=128, sampler=WeightedRandomSampler(weights, len(train)))

net = TabNet(sizes, len(NUMS))
ema = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(0.98))
no_decay = [p for n, p in net.named_parameters() if p.ndim == 1 or "tables" in n]
decay = [p for n, p in net.named_parameters() if not (p.ndim == 1 or "tables" in n)]
opt = torch.optim.AdamW([{"params": decay, "weight_decay": 0.02}, {"params": no_decay, "weight_decay": 0.0}], lr=2e-3)
bce = nn.BCEWithLogitsLoss()

for epoch in range(6):
    net.train()
    running = 0.0
    for cat, num, t in loader:
        loss = bce(net(cat, num), t)
        opt.zero_grad()
        loss.backward()
        opt.step()
        ema.update_parameters(net)
        running += loss.item()
    ema.eval()
    with torch.no_grad():
        p = ema(*test.tensors[:2]).sigmoid().numpy()
    t = test.tensors[2].numpy()
    print(f"epoch {epoch} train {running / len(loader):.4f} test AUC {roc_auc_score(t, p):.4f} "
          f"balanced acc {balanced_accuracy_score(t, p > 0.5):.4f}")
