"""Matrix factorisation for a (simulated) ratings table."""
import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

rng = np.random.default_rng(4)
torch.manual_seed(4)

N_USERS, N_ITEMS, K_TRUE, N_RATINGS = 300, 200, 4, 30000
U = rng.normal(0, 0.7, (N_USERS, K_TRUE))
V = rng.normal(0, 0.7, (N_ITEMS, K_TRUE))
bu, bi = rng.normal(0, 0.3, N_USERS), rng.normal(0, 0.4, N_ITEMS)
pairs = rng.choice(N_USERS * N_ITEMS, N_RATINGS, replace=False)
u, i = pairs // N_ITEMS, pairs % N_ITEMS
r = np.clip(3.4 + (U[u] * V[i]).sum(1) + bu[u] + bi[i] + rng.normal(0, 0.4, N_RATINGS), 1, 5)

u, i, r = torch.tensor(u), torch.tensor(i), torch.tensor(r, dtype=torch.float32)
n_train = int(0.8 * N_RATINGS)
train_loader = DataLoader(TensorDataset(u[:n_train], i[:n_train], r[:n_train]), batch_size=256, shuffle=True)
u_te, i_te, r_te = u[n_train:], i[n_train:], r[n_train:]


class MF(nn.Module):
    def __init__(self, n_users, n_items, k, mean):
        super().__init__()
        self.P = nn.Embedding(n_users, k)
        self.Q = nn.Embedding(n_items, k)
        self.user_bias = nn.Embedding(n_users, 1)
        self.item_bias = nn.Embedding(n_items, 1)
        self.register_buffer("mean", torch.tensor(mean))
        nn.init.normal_(self.P.weight, 0, 0.1)
        nn.init.normal_(self.Q.weight, 0, 0.1)
        nn.init.zeros_(self.user_bias.weight)
        nn.init.zeros_(self.item_bias.weight)

    def forward(self, u, i):
        dot = (self.P(u) * self.Q(i)).sum(1)
        return self.mean + dot + self.user_bias(u).squeeze(1) + self.item_bias(i).squeeze(1)


model = MF(N_USERS, N_ITEMS, 5, r[:n_train].mean().item())
opt = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=3e-5)
mse = nn.MSELoss()

for epoch in range(15):
    model.train()
    tot = 0.0
    for ub, ib, rb in train_loader:
        loss = mse(model(ub, ib), rb)
        opt.zero_grad()
        loss.backward()
        opt.step()
        tot += loss.item() * len(rb)
    model.eval()
    with torch.no_grad():
        rmse = mse(model(u_te, i_te), r_te).sqrt().item()
    print(f"epoch {epoch + 1:2d}: train rmse {(tot / n_train) ** 0.5:.4f}  test rmse {rmse:.4f}")
