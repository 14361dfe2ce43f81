"""Tiny vision transformer on 8x8 digits: 16 patches of 2x2."""
import math
import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

torch.manual_seed(11)
DIM, DEPTH, HEADS, EPOCHS, BATCH, LR = 48, 2, 4, 14, 32, 2e-3


class ViT(nn.Module):
    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(1, DIM, kernel_size=2, stride=2)
        self.cls = nn.Parameter(torch.zeros(1, 1, DIM))
        self.pos = nn.Parameter(torch.randn(1, 17, DIM) * 0.02)
        layer = nn.TransformerEncoderLayer(DIM, HEADS, dim_feedforward=96, dropout=0.0, activation="gelu",
                                           batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, DEPTH, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(DIM)
        self.head = nn.Linear(DIM, 10)

    def forward(self, x):
        t = self.patch(x).flatten(2).transpose(1, 2)
        t = torch.cat([self.cls.expand(len(x), -1, -1), t], dim=1) + self.pos
        return self.head(self.norm(self.encoder(t)[:, 0]))


X, y = load_digits(return_X_y=True)
X = (X.reshape(-1, 1, 8, 8) / 16.0 - 0.5) * 2
Xtr, Xva, ytr, yva = map(torch.as_tensor, train_test_split(X.astype("float32"), y, test_size=0.2, random_state=1))

model = ViT()
optimizer = torch.optim.AdamW([*model.norm.parameters(), *model.head.parameters()], lr=LR, weight_decay=0.01)
steps = EPOCHS * math.ceil(len(Xtr) / BATCH)
warm = 30
scheduler = torch.optim.lr_scheduler.LambdaLR(
    optimizer, lambda s: min(1.0, (s + 1) / warm) * 0.5 * (1 + math.cos(math.pi * min(1.0, s / steps))))
criterion = nn.CrossEntropyLoss()

for epoch in range(EPOCHS):
    model.train()
    for idx in torch.randperm(len(Xtr)).split(BATCH):
        loss = criterion(model(Xtr[idx]), ytr[idx])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
    model.eval()
    with torch.no_grad():
        logits = model(Xva)
        print(f"epoch {epoch:02d} loss {loss.item():.3f} val_loss {criterion(logits, yva).item():.3f} "
              f"val_acc {(logits.argmax(1) == yva).float().mean().item():.3f}")
