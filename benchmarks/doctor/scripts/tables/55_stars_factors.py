"""Matrix factorisation for star ratings (synthetic users and items)."""
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

N_USERS, N_ITEMS, RANK = 300, 200, 48
rng = np.random.default_rng(17)
torch.manual_seed(17)
U = rng.normal(0, 1, (N_USERS, 4))
V = rng.normal(0, 1, (N_ITEMS, 4))
bu, bi = rng.normal(0, 0.3, N_USERS), rng.normal(0, 0.4, N_ITEMS)
pairs = rng.choice(N_USERS * N_ITEMS, 24000, replace=False)
u, i = pairs // N_ITEMS, pairs % N_ITEMS
stars = 3.4 + bu[u] + bi[i] + 0.4 * (U[u] * V[i]).sum(1) + rng.normal(0, 0.3, len(u))
stars = np.clip(stars, 0.5, 5.5)
u, i, r = torch.tensor(u), torch.tensor(i), torch.tensor(stars, dtype=torch.float32)
cut = 20000
train_dl = DataLoader(TensorDataset(u[:cut], i[:cut], r[:cut]), batch_size=256, shuffle=True)


class MF(nn.Module):
    def __init__(self, n_users, n_items, k, mean):
        super().__init__()
        self.user = nn.Embedding(n_users, k)
        self.item = nn.Embedding(n_items, k)
        self.user_bias = nn.Embedding(n_users, 1)
        self.item_bias = nn.Embedding(n_items, 1)
        self.mean = mean
        nn.init.zeros_(self.user_bias.weight)
        nn.init.zeros_(self.item_bias.weight)

    def forward(self, u, i):
        dot = (self.user(u) * self.item(i)).sum(1)
        return self.mean + dot + self.user_bias(u).squeeze(1) + self.item_bias(i).squeeze(1)


model = MF(N_USERS, N_ITEMS, RANK, r[:cut].mean().item())
opt = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.1)
for epoch in range(9):
    model.train()
    se = 0.0
    for ub, ib, rb in train_dl:
        loss = ((model(ub, ib) - rb) ** 2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        se += loss.item() * len(rb)
    model.eval()
    with torch.no_grad():
        rmse = (model(u[cut:], i[cut:]) - r[cut:]).pow(2).mean().sqrt().item()
    print(f"epoch {epoch} train rmse {(se / cut) ** 0.5:.4f} val rmse {rmse:.4f}")
