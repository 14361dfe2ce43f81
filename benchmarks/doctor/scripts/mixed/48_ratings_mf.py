import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

np.random.seed(0)
torch.manual_seed(0)
N_USERS, N_ITEMS, K = 200, 120, 4
U, V = np.random.randn(N_USERS, K), np.random.randn(N_ITEMS, K)
bu, bi = 0.4 * np.random.randn(N_USERS), 0.4 * np.random.randn(N_ITEMS)
full = 3.5 + bu[:, None] + bi[None] + 0.5 * U @ V.T + 0.3 * np.random.randn(N_USERS, N_ITEMS)
full = full.clip(1, 5)
pairs = np.argwhere(np.random.rand(N_USERS, N_ITEMS) < 0.5)
np.random.shuffle(pairs)
ratings = full[pairs[:, 0], pairs[:, 1]].astype(np.float32)
cut = int(len(pairs) * 0.85)
p, r = torch.from_numpy(pairs), torch.from_numpy(ratings)
train_loader = DataLoader(TensorDataset(p[:cut], r[:cut]), batch_size=128, shuffle=True)
val_loader = DataLoader(TensorDataset(p[cut:], r[cut:]), batch_size=1000)


class MatrixFactorization(nn.Module):
    def __init__(self, n_users, n_items, dim, mean):
        super().__init__()
        self.user, self.item = nn.Embedding(n_users, dim), nn.Embedding(n_items, dim)
        self.user_b, self.item_b = nn.Embedding(n_users, 1), nn.Embedding(n_items, 1)
        self.mean = mean
        for e in (self.user, self.item):
            nn.init.normal_(e.weight, std=0.1)
        for e in (self.user_b, self.item_b):
            nn.init.zeros_(e.weight)

    def forward(self, u, i):
        dot = (self.user(u) * self.item(i)).sum(1)
        return self.mean + dot + self.user_b(u).squeeze(1) + self.item_b(i).squeeze(1)


model = MatrixFactorization(N_USERS, N_ITEMS, 6, r[:cut].mean().item())
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.1)
criterion = nn.MSELoss()
for epoch in range(12):
    model.train()
    total = 0
    for ui, rr in train_loader:
        loss = criterion(model(ui[:, 0], ui[:, 1]), rr)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(rr)
    model.eval()
    with torch.no_grad():
        sq = sum(((model(ui[:, 0], ui[:, 1]) - rr) ** 2).sum().item() for ui, rr in val_loader)
    print(f"epoch {epoch + 1}: train rmse {(total / cut) ** 0.5:.4f}  val rmse {(sq / (len(r) - cut)) ** 0.5:.4f}")
