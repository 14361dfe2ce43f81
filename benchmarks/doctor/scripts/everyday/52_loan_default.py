import numpy as np
import polars as pl
import torch
from torch import nn
from sklearn.metrics import roc_auc_score

torch.manual_seed(52)
rng = np.random.default_rng(52)

n = 3000
income = rng.lognormal(10.5, 0.5, n)
amount = rng.lognormal(9.2, 0.6, n)
years_employed = rng.exponential(5, n)
inquiries = rng.poisson(1.5, n)
utilisation = rng.beta(2, 3, n)
risk = 1.1 * np.log(amount / income) + 0.35 * inquiries + 1.8 * utilisation - 0.08 * years_employed
default = (risk + rng.logistic(0, 1.0, n) > 0.4).astype(int)
recovery_fee = np.where(default == 1, rng.gamma(4.0, 60.0, n), rng.gamma(1.0, 15.0, n))

loans = pl.DataFrame({
    "log_income": np.log(income), "log_amount": np.log(amount), "years_employed": years_employed,
    "inquiries": inquiries, "utilisation": utilisation, "recovery_fee": recovery_fee, "default": default,
})
features = [c for c in loans.columns if c != "default"]
X = loans.select(features).to_numpy().astype(np.float32)
y = loans["default"].to_numpy().astype(np.float32)
split = 2200
mu, sd = X[:split].mean(0), X[:split].std(0)
X = torch.from_numpy((X - mu) / sd)
Y = torch.from_numpy(y)

model = nn.Sequential(nn.Linear(len(features), 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 1))
opt = torch.optim.Adam(model.parameters(), lr=2e-3, weight_decay=1e-4)
criterion = nn.BCEWithLogitsLoss()

for epoch in range(1, 13):
    model.train()
    epoch_loss = []
    for idx in torch.randperm(split).split(50):
        opt.zero_grad()
        loss = criterion(model(X[idx]).flatten(), Y[idx])
        loss.backward()
        opt.step()
        epoch_loss.append(loss.item())
    model.eval()
    with torch.no_grad():
        score = model(X[split:]).flatten().numpy()
    print(f"epoch {epoch:2d}: loss {np.mean(epoch_loss):.4f} val AUC {roc_auc_score(y[split:], score):.4f} "
          f"val accuracy {((score > 0) == y[split:]).mean():.4f}")
