import numpy as np
import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(2)
d = np.load("embedded/mnist_5k_1k.npz")
norm = lambda a: torch.from_numpy((a.astype("float32") / 255 - 0.1307) / 0.3081)[:, None]
X, Y = norm(d["x_train"]), torch.from_numpy(d["y_train"].astype("int64"))
XT, YT = norm(d["x_test"]), torch.from_numpy(d["y_test"].astype("int64"))

net = nn.Sequential(
    nn.Conv2d(1, 12, 5, stride=2), nn.ReLU(), nn.Conv2d(12, 24, 5, stride=2), nn.ReLU(),
    nn.Flatten(), nn.Linear(24 * 16, 64), nn.ReLU(), nn.Linear(64, 10))


def fit(x, y, xv, yv, lr, epochs, bs, tag):
    opt = torch.optim.Adam(net.parameters(), lr=lr)
    for ep in range(epochs):
        net.train()
        for b in torch.randperm(len(x)).split(bs):
            loss = F.cross_entropy(net(x[b]), y[b])
            opt.zero_grad()
            loss.backward()
            opt.step()
        net.eval()
        with torch.no_grad():
            acc = (net(xv).argmax(1) == yv).float().mean().item()
        print(f"{tag} epoch {ep} loss {loss.item():.4f} val acc {acc:.4f}")


# stage one: upright digits
fit(X[:4500], Y[:4500], XT, YT, 1e-3, 4, 64, "pretrain")

# stage two: a few slanted digits from the new scanner
def slant(x):
    theta = torch.tensor([[0.95, 0.35, 0.0], [-0.1, 0.95, 0.0]]).expand(len(x), 2, 3)
    return F.grid_sample(x, F.affine_grid(theta, x.shape, align_corners=False), align_corners=False, padding_mode="border")


few, few_y = slant(X[4500:4700]), Y[4500:4700]
with torch.no_grad():
    print("before fine-tuning", (net(slant(XT)).argmax(1) == YT).float().mean().item())
fit(few, few_y, slant(XT), YT, 3e-2, 15, 16, "finetune")
