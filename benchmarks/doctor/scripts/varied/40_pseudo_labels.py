import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

torch.manual_seed(40)
x, y = load_digits(return_X_y=True)
x, y = torch.tensor(x, dtype=torch.float32), torch.tensor(y)
p = torch.randperm(len(x))
lab, unl, va = p[:120], p[120:1400], p[1400:]
x = (x - x[p[:1400]].mean()) / x[p[:1400]].std()


def new_net():
    return nn.Sequential(nn.Linear(64, 96), nn.ReLU(), nn.Dropout(0.3), nn.Linear(96, 10))


def fit(net, xs, ys, epochs, lr):
    opt = torch.optim.AdamW(net.parameters(), lr, weight_decay=0.01)
    for epoch in range(epochs):
        net.train()
        for b in torch.randperm(len(xs)).split(32):
            loss = F.cross_entropy(net(xs[b]), ys[b])
            opt.zero_grad()
            loss.backward()
            opt.step()
        net.eval()
        if (epoch + 1) % 5 == 0:
            with torch.no_grad():
                o = net(x[va])
            print(f"  epoch {epoch + 1} loss {loss.item():.4f} val {F.cross_entropy(o, y[va]).item():.4f} acc {(o.argmax(1) == y[va]).float().mean().item():.4f}")


net = new_net()
print("supervised on 120")
fit(net, x[lab], y[lab], 30, 3e-3)
for rnd, threshold in enumerate((0.9, 0.8)):
    with torch.no_grad():
        conf, guess = net(x[unl]).softmax(1).max(1)
    keep = conf > threshold
    print(f"round {rnd}: {int(keep.sum())} pseudo labels, {(guess[keep] == y[unl][keep]).float().mean().item():.3f} of them right")
    net = new_net()
    fit(net, torch.cat([x[lab], x[unl][keep]]), torch.cat([y[lab], guess[keep]]), 15, 3e-3)
