"""One-step-ahead forecasting of an hourly load curve."""
import argparse
import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset, DataLoader

ap = argparse.ArgumentParser()
ap.add_argument("--epochs", type=int, default=8)
ap.add_argument("--lr", type=float, default=5e-3)
ap.add_argument("--window", type=int, default=24)
ap.add_argument("--hidden", type=int, default=24)
args = ap.parse_args()

torch.manual_seed(42)
rng = np.random.default_rng(42)
t = np.arange(2400)
noise = np.zeros(len(t))
for i in range(1, len(t)):
    noise[i] = 0.7 * noise[i - 1] + rng.normal(0, 4)
load = 310 + 60 * np.sin(2 * np.pi * t / 24) + 25 * np.sin(2 * np.pi * t / 168 + 1) + 18 * np.cos(4 * np.pi * t / 24) + noise
cut = 1900
mean, std = load[:cut].mean(), load[:cut].std()
train_series = (load[:cut] - mean) / std
test_series = (load[cut:] - mean) / std


class Windows(Dataset):
    def __init__(self, series, width):
        self.s = torch.tensor(series, dtype=torch.float32)
        self.w = width

    def __len__(self):
        return len(self.s) - self.w

    def __getitem__(self, i):
        return self.s[i:i + self.w].unsqueeze(-1), self.s[i + self.w]


class Forecaster(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.rnn = nn.GRU(1, hidden, batch_first=True)
        self.head = nn.Linear(hidden, 1)

    def forward(self, x):
        out, _ = self.rnn(x)
        return self.head(out[:, -1]).squeeze(-1)


train_dl = DataLoader(Windows(train_series, args.window), batch_size=64, shuffle=True)
test_dl = DataLoader(Windows(test_series, args.window), batch_size=256)
model = Forecaster(args.hidden)
for name, p in model.named_parameters():
    p.requires_grad = name.startswith("head")
opt = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=args.lr)
mse = nn.MSELoss()

for epoch in range(1, args.epochs + 1):
    model.train()
    losses = []
    for x, y in train_dl:
        loss = mse(model(x), y)
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        losses.append(loss.item())
    model.eval()
    with torch.inference_mode():
        preds, ys = zip(*[(model(x), y) for x, y in test_dl])
    preds, ys = torch.cat(preds), torch.cat(ys)
    rmse = (preds - ys).pow(2).mean().sqrt().item()
    print(f"epoch {epoch}: train mse {np.mean(losses):.4f}, test rmse {rmse:.4f} ({rmse * std:.1f} MW)")
