# Hourly load of a small grid, forecast one hour ahead with an RNN over the last day.
import numpy as np
import torch
from torch import nn

rng = np.random.default_rng(21)
torch.manual_seed(21)
hours = np.arange(24 * 120)
daily = 10 * np.sin(2 * np.pi * (hours % 24 - 7) / 24) + 4 * np.sin(4 * np.pi * (hours % 24) / 24)
weekly = np.where((hours // 24) % 7 >= 5, -6.0, 0.0)
load = 60 + daily + weekly + np.cumsum(rng.normal(0, 0.05, hours.size)) + rng.normal(0, 0.8, hours.size)
split = 24 * 95
m, s = load[:split].mean(), load[:split].std()
z = ((load - m) / s).astype("float32")


def make(a, b):
    X = np.stack([z[i - 24:i] for i in range(a + 24, b)])
    return torch.tensor(X)[..., None], torch.tensor(z[a + 24:b])


Xtr, Ytr = make(0, split)
Xte, Yte = make(split, len(z))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(1, 24, batch_first=True)
        self.head = nn.Linear(24, 1)

    def forward(self, x):
        out, _ = self.rnn(x)
        return self.head(out[:, -1]).squeeze(-1)


net = Net()
optim = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
mse = nn.MSELoss()
for ep in range(10):
    net.train()
    losses = []
    for idx in torch.randperm(len(Xtr)).split(64):
        optim.zero_grad()
        loss = mse(net(Xtr[idx]), Ytr[idx])
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optim.step()
        losses.append(loss.item())
    net.eval()
    with torch.no_grad():
        rmse = mse(net(Xte), Yte).sqrt().item() * s
    print(f"epoch {ep + 1}: train mse {np.mean(losses):.4f}, test rmse {rmse:.2f} MW")
