import copy
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

# only 400 labelled pictures: wide net, a lot of dropout, noisy inputs, early stopping
torch.manual_seed(35)
d = np.load("embedded/mnist_5k_1k.npz")
f = lambda a: (torch.tensor(a).float().flatten(1) / 255 - 0.1307) / 0.3081
x, y = f(d["x_train"][:400]), torch.tensor(d["y_train"][:400]).long()
xv, yv = f(d["x_test"]), torch.tensor(d["y_test"]).long()

model = nn.Sequential(nn.Dropout(0.2), nn.Linear(784, 400), nn.ReLU(), nn.Dropout(0.5), nn.Linear(400, 10))
opt = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.05)
best, best_state, wait = float("inf"), None, 0
for epoch in range(30):
    model.train()
    s = 0.0
    for b in torch.randperm(400).split(40):
        loss = F.cross_entropy(model(x[b] + 0.3 * torch.randn_like(x[b])), y[b])
        opt.zero_grad()
        loss.backward()
        opt.step()
        s += loss.item() / 10
    model.eval()
    with torch.no_grad():
        o = model(xv)
    v = F.cross_entropy(o, yv).item()
    print(f"epoch {epoch} train (noisy) {s:.4f} val {v:.4f} acc {(o.argmax(1) == yv).float().mean().item():.4f}")
    if v < best - 1e-3:
        best, best_state, wait = v, copy.deepcopy(model.state_dict()), 0
    else:
        wait += 1
        if wait == 4:
            break
model.load_state_dict(best_state)
model.eval()
with torch.no_grad():
    o = model(xv)
print(f"restored best: val {F.cross_entropy(o, yv).item():.4f} acc {(o.argmax(1) == yv).float().mean().item():.4f}")
