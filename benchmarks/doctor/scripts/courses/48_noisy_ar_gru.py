# One-step forecast of a threshold autoregressive process with a GRU.
import numpy as np
import torch
import torch.nn as nn

torch.manual_seed(33)
rng = np.random.default_rng(33)
T = 3200
s = np.zeros(T)
for k in range(2, T):
    a = 0.9 if s[k - 1] < 0.3 else -0.7
    s[k] = a * s[k - 1] - 0.35 * s[k - 2] + 0.5 + 0.15 * rng.normal()
train_end = 2560
s = ((s - s[:train_end].mean()) / s[:train_end].std()).astype("float32")
win = 12
X = torch.tensor(np.lib.stride_tricks.sliding_window_view(s, win + 1).copy())
train, test = X[:train_end - win], X[train_end:]


class Forecaster(nn.Module):
    def __init__(self, h=24):
        super().__init__()
        self.gru = nn.GRU(1, h, batch_first=True)
        self.lin = nn.Linear(h, 1)

    def forward(self, x):
        return self.lin(self.gru(x.unsqueeze(-1))[0][:, -1])[:, 0]


model = Forecaster()
optimizer = torch.optim.Adam(model.parameters(), lr=8e-3)
loss_fn = nn.MSELoss()
for epoch in range(14):
    model.train()
    total = 0.0
    order = torch.randperm(len(train))
    for start in range(0, len(train), 50):
        b = train[order[start:start + 50]]
        loss = loss_fn(model(b[:, :-1]), b[:, -1])
        loss.backward()
        optimizer.step()
        total += loss.item() * len(b)
    model.eval()
    with torch.no_grad():
        pred = model(test[:, :-1])
        mse = loss_fn(pred, test[:, -1]).item()
    print(f"epoch {epoch:2d} | train {total / len(train):.4f} | test mse {mse:.4f} | R2 {1 - mse / test[:, -1].var().item():.3f}")
