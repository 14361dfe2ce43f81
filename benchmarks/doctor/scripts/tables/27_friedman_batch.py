from sklearn.datasets import make_friedman1
from sklearn.preprocessing import StandardScaler
import torch
from torch import nn

torch.manual_seed(11)
X, y = make_friedman1(n_samples=800, n_features=8, noise=1.0, random_state=5)
Xtr, Xte, ytr, yte = X[:600], X[600:], y[:600], y[600:]
sx = StandardScaler().fit(Xtr)
sy = StandardScaler().fit(ytr[:, None])
Xtr = torch.tensor(sx.transform(Xtr)).float()
Xte = torch.tensor(sx.transform(Xte)).float()
ytr = torch.tensor(sy.transform(ytr[:, None])).float()
yte = torch.tensor(sy.transform(yte[:, None])).float()

model = nn.Sequential(
    nn.Linear(8, 24),
    nn.Tanh(),
    nn.Linear(24, 24),
    nn.Tanh(),
    nn.Linear(24, 1),
)
loss_fn = nn.MSELoss()
opt = torch.optim.RMSprop(model.parameters(), lr=3e-3)

best, wait = float("inf"), 0
best_state = None
for step in range(600):
    model.train()
    opt.zero_grad()
    loss = loss_fn(model(Xtr), ytr)
    loss.backward()
    opt.step()

    model.eval()
    with torch.no_grad():
        val = loss_fn(model(Xte), yte).item()
    if step % 10 == 0:
        print(f"step {step:3d}  train {loss.item():.4f}  val {val:.4f}")
    if val < best - 1e-4:
        best, wait = val, 0
        best_state = {k: v.clone() for k, v in model.state_dict().items()}
    else:
        wait += 1
        if wait >= 60:
            break
model.load_state_dict(best_state)
print(f"stopped after {step + 1} steps, best val mse {best:.4f}, R2 {1 - best / yte.var().item():.3f}")
