# Semi-supervised flavour: shared encoder, a decoder and a classifier trained jointly
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(5)
np.random.seed(5)


class AEClassifier(nn.Module):
    def __init__(self, d_in=196, d_code=24):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(d_in, 128), nn.ReLU(), nn.Linear(128, d_code))
        self.decoder = nn.Sequential(nn.ReLU(), nn.Linear(d_code, 128), nn.ReLU(), nn.Linear(128, d_in))
        self.classifier = nn.Sequential(nn.ReLU(), nn.Linear(d_code, 10))

    def forward(self, x):
        z = self.encoder(x)
        return self.decoder(z), self.classifier(z), z


def small(a):
    t = torch.from_numpy(a).float()[:, None] / 255.0
    return F.avg_pool2d(t, 2).flatten(1)


z = np.load("embedded/mnist_5k_1k.npz")
train_ds = TensorDataset(small(z["x_train"]), torch.from_numpy(z["y_train"]).long())
x_val, y_val = small(z["x_test"]), torch.from_numpy(z["y_test"]).long()
loader = DataLoader(train_ds, batch_size=100, shuffle=True)

model = AEClassifier()
opt = torch.optim.Adam(model.parameters(), lr=2e-3)
beta, lam = 1.0, 0.5

for epoch in range(12):
    model.train()
    s_ce = s_rec = 0.0
    for x, y in loader:
        rec, logits, code = model(x)
        ce = F.cross_entropy(logits, y)
        mse = F.mse_loss(rec, x)
        loss = ce + beta * mse + lam * code.abs().sum(dim=1).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        s_ce += ce.item() / len(loader)
        s_rec += mse.item() / len(loader)
    model.eval()
    with torch.no_grad():
        rec, logits, _ = model(x_val)
        acc = (logits.argmax(1) == y_val).float().mean()
    print(f"[{epoch + 1}] ce={s_ce:.3f} rec={s_rec:.4f} val_rec={F.mse_loss(rec, x_val):.4f} val_acc={acc:.3f}")
