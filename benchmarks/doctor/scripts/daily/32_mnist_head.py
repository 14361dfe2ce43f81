import numpy as np
import torch
from torch import nn

torch.manual_seed(24)
d = np.load("embedded/mnist_5k_1k.npz")
x = (torch.tensor(d["x_train"]).float()[:, None] / 255 - 0.13) / 0.31
xt = (torch.tensor(d["x_test"]).float()[:, None] / 255 - 0.13) / 0.31
y, yt = torch.tensor(d["y_train"]).long(), torch.tensor(d["y_test"]).long()
ce = nn.CrossEntropyLoss()

body = nn.Sequential(
    nn.Conv2d(1, 12, 5, stride=2), nn.BatchNorm2d(12), nn.ReLU(),
    nn.Conv2d(12, 24, 5, stride=2), nn.BatchNorm2d(24), nn.ReLU(), nn.Flatten())
source = nn.Sequential(body, nn.Linear(384, 5))
low, low_t = y < 5, yt < 5
opt = torch.optim.Adam(source.parameters(), lr=2e-3)
for ep in range(4):
    source.train()
    for b in torch.where(low)[0][torch.randperm(int(low.sum()))].split(64):
        opt.zero_grad()
        ce(source(x[b]), y[b]).backward()
        opt.step()
    source.eval()
    with torch.no_grad():
        print("digits 0-4, epoch", ep, "acc", (source(xt[low_t]).argmax(1) == yt[low_t]).float().mean().item())

# the other five digits, 400 labelled pictures, only the last layer is trained
for p in body.parameters():
    p.requires_grad_(False)
body.eval()
high = torch.where(y >= 5)[0][:400]
high_t = yt >= 5
head = nn.Linear(384, 5)
opt = torch.optim.Adam(head.parameters(), lr=5e-3, weight_decay=1e-4)
for ep in range(12):
    head.train()
    tot = 0.0
    for b in high[torch.randperm(len(high))].split(20):
        with torch.no_grad():
            feats = body(x[b])
        loss = ce(head(feats), y[b] - 5)
        opt.zero_grad()
        loss.backward()
        opt.step()
        tot += loss.item() * len(b)
    head.eval()
    with torch.no_grad():
        out = head(body(xt[high_t]))
    print(f"digits 5-9, epoch {ep} train {tot / len(high):.4f} val {ce(out, yt[high_t] - 5).item():.4f} acc {(out.argmax(1) == yt[high_t] - 5).float().mean().item():.4f}")
