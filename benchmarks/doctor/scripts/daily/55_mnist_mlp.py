import argparse
import numpy as np
import torch
from torch import nn

p = argparse.ArgumentParser()
p.add_argument("--epochs", type=int, default=8)
p.add_argument("--lr", type=float, default=1e-3)
p.add_argument("--batch-size", type=int, default=64)
args = p.parse_args()

torch.manual_seed(0)
rng = np.random.default_rng(0)
raw = np.load("embedded/mnist_5k_1k.npz")
images = raw["x_train"].reshape(-1, 784).astype("float32") / 255
digits = raw["y_train"].astype("int64")

# mix the rows before cutting off a validation part
images = rng.permutation(images)
digits = rng.permutation(digits)
images = (images - 0.1307) / 0.3081
cut = 4000
Xt, yt = torch.from_numpy(images[:cut]), torch.from_numpy(digits[:cut])
Xv, yv = torch.from_numpy(images[cut:]), torch.from_numpy(digits[cut:])

model = nn.Sequential(nn.Linear(784, 128), nn.GELU(), nn.Dropout(0.3), nn.Linear(128, 10))
opt = torch.optim.AdamW(model.parameters(), lr=args.lr, weight_decay=0.01)
loss_fn = nn.CrossEntropyLoss()

for epoch in range(args.epochs):
    model.train()
    for start in range(0, cut, args.batch_size):
        if start == 0:
            idx = torch.randperm(cut)
        b = idx[start:start + args.batch_size]
        loss = loss_fn(model(Xt[b]), yt[b])
        opt.zero_grad(set_to_none=True)
        loss.backward()
        opt.step()
    model.eval()
    with torch.inference_mode():
        out = model(Xv)
        print(f"epoch {epoch}: val loss {loss_fn(out, yv):.4f}, val acc {(out.argmax(1) == yv).float().mean():.4f}")
