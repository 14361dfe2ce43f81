import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from sklearn.datasets import make_multilabel_classification
from sklearn.metrics import f1_score
from sklearn.model_selection import train_test_split

torch.manual_seed(53)
X, Y = make_multilabel_classification(n_samples=2500, n_features=40, n_classes=8, n_labels=3, length=60, random_state=53)
Xa, Xb, Ya, Yb = train_test_split(X, Y, test_size=0.2, random_state=53)
mu, sd = Xa.mean(0), Xa.std(0) + 1e-6
Xa, Xb = [torch.tensor((a - mu) / sd, dtype=torch.float32) for a in (Xa, Xb)]
Ya_t, Yb_t = torch.tensor(Ya, dtype=torch.float32), torch.tensor(Yb, dtype=torch.float32)


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(40, 48), nn.ELU(), nn.Dropout(0.3), nn.Linear(48, 8))

    def forward(self, x):
        return self.net(x)


def focal_bce(logits, target, gamma=1.0):
    p = torch.sigmoid(logits)
    pt = torch.where(target > 0.5, p, 1 - p)
    bce = nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return ((1 - pt) ** gamma * bce).mean()


tagger = Tagger()
opt = torch.optim.Adagrad(tagger.parameters(), lr=0.03)
train_dl = DataLoader(TensorDataset(Xa, Ya_t), batch_size=40, shuffle=True)

for epoch in range(12):
    tagger.train()
    tot = 0.0
    for x, y in train_dl:
        opt.zero_grad()
        loss = focal_bce(tagger(x), y)
        loss.backward()
        opt.step()
        tot += loss.item()
    tagger.eval()
    with torch.inference_mode():
        out = tagger(Xb)
        v = focal_bce(out, Yb_t).item()
    f1 = f1_score(Yb, (out > 0).int().numpy(), average="macro")
    print(f"epoch {epoch}: train {tot / len(train_dl):.4f} val {v:.4f} macro F1 {f1:.3f}")
