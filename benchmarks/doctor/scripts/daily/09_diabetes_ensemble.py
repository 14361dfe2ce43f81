# Five small nets side by side, their mean predicts
import torch
from torch import nn
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split

torch.manual_seed(32)
X, y = load_diabetes(return_X_y=True)
Xtr, Xva, ytr, yva = train_test_split(X, y, test_size=0.25, random_state=32)
mx, sx, my, sy = Xtr.mean(0), Xtr.std(0), ytr.mean(), ytr.std()
T = lambda a: torch.tensor(a, dtype=torch.float32)
Xtr, Xva, ytr, yva = T((Xtr - mx) / sx), T((Xva - mx) / sx), T((ytr - my) / sy), T((yva - my) / sy)


class Ensemble(nn.Module):
    def __init__(self, members=5):
        super().__init__()
        self.members = nn.ModuleList(
            nn.Sequential(nn.Linear(10, 12), nn.Tanh(), nn.Linear(12, 1)) for _ in range(members))

    def forward(self, x):
        return torch.cat([m(x) for m in self.members], dim=1)


model = Ensemble()
opt = torch.optim.Adam(model.parameters(), lr=3e-3, weight_decay=1e-3)
for epoch in range(20):
    model.train()
    tot = 0.0
    for b in torch.randperm(len(Xtr)).split(16):
        each = model(Xtr[b])
        loss = (each - ytr[b].unsqueeze(1)).pow(2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        tot += loss.item() * len(b)
    model.eval()
    with torch.no_grad():
        mean = model(Xva).mean(1)
    r2 = 1 - (mean - yva).pow(2).sum() / (yva - yva.mean()).pow(2).sum()
    print(f"epoch {epoch} train mse {tot / len(Xtr):.4f} val mse {(mean - yva).pow(2).mean().item():.4f} val R2 {r2.item():.3f}")
