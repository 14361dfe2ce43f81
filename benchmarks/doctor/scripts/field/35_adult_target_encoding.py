import os
import tempfile

import numpy as np
import pandas as pd
import torch
import torch.nn as nn
from sklearn.metrics import roc_auc_score

NUMERIC = ["age", "education_num", "capital_gain", "capital_loss", "hours_per_week"]
ONE_HOT = ["workclass", "marital_status", "relationship", "sex"]
TARGET_ENC = ["occupation", "native_country", "fnlwgt"]


def target_encode(train, test, y, cols):
    prior = y.mean()
    tr, te = [], []
    for c in cols:
        table = y.groupby(train[c]).mean()
        tr.append(train[c].map(table))
        te.append(test[c].map(table).fillna(prior))
    return np.column_stack(tr), np.column_stack(te)


def load(n_train=10000, n_test=5000, seed=0):
    train = pd.read_csv("embedded/adult_train.csv.gz").fillna("?").sample(n_train, random_state=seed)
    test = pd.read_csv("embedded/adult_test.csv.gz").fillna("?").sample(n_test, random_state=seed)
    y_tr, y_te = ((d.pop("income").str.contains(">50K")).astype(float) for d in (train, test))

    te_tr, te_te = target_encode(train, test, y_tr, TARGET_ENC)
    for d in (train, test):
        d["capital_gain"], d["capital_loss"] = np.log1p(d["capital_gain"]), np.log1p(d["capital_loss"])
    num_tr = np.column_stack([train[NUMERIC], te_tr])
    num_te = np.column_stack([test[NUMERIC], te_te])
    m, s = num_tr.mean(0), num_tr.std(0)
    oh_tr = pd.get_dummies(train[ONE_HOT], dtype=float)
    oh_te = pd.get_dummies(test[ONE_HOT], dtype=float).reindex(columns=oh_tr.columns, fill_value=0.0)
    x_tr = np.column_stack([(num_tr - m) / s, oh_tr])
    x_te = np.column_stack([(num_te - m) / s, oh_te])
    return [torch.tensor(np.asarray(v), dtype=torch.float32) for v in (x_tr, y_tr, x_te, y_te)]


def main():
    torch.manual_seed(0)
    x, y, x_te, y_te = load()
    net = nn.Sequential(nn.Linear(x.shape[1], 64), nn.ReLU(), nn.Dropout(0.2),
                        nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 1))
    opt = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=1e-3)
    loss_fn = nn.BCEWithLogitsLoss()
    folder = tempfile.mkdtemp()
    for epoch in range(8):
        net.train()
        for b in torch.randperm(len(x)).split(128):
            opt.zero_grad()
            loss = loss_fn(net(x[b]).squeeze(1), y[b])
            loss.backward()
            opt.step()
        torch.save({"epoch": epoch, "state": net.state_dict()}, os.path.join(folder, f"ep{epoch}.pt"))
        net.eval()
        with torch.no_grad():
            p_tr, p_te = net(x).squeeze(1), net(x_te).squeeze(1)
        print(f"epoch {epoch} loss {loss_fn(p_tr, y):.4f} auc {roc_auc_score(y, p_tr):.4f} | "
              f"test loss {loss_fn(p_te, y_te):.4f} auc {roc_auc_score(y_te, p_te):.4f}")


if __name__ == "__main__":
    main()
