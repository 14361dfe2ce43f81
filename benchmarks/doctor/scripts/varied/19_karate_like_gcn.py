import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(19)
N, K = 600, 4
label = torch.randint(0, K, (N,))
same = label[:, None] == label[None, :]
prob = torch.where(same, 0.045, 0.006)
A = (torch.rand(N, N) < prob).float().triu(1)
A = A + A.T
A_hat = A + torch.eye(N)
dinv = A_hat.sum(1).pow(-0.5)
A_hat = dinv[:, None] * A_hat * dinv[None, :]
X = torch.randn(K, 30)[label] * 0.5 + torch.randn(N, 30)
X = (X - X.mean(0)) / X.std(0)
perm = torch.randperm(N)
train, val = perm[:80], perm[80:]


class GCN(nn.Module):
    def __init__(self):
        super().__init__()
        self.w1 = nn.Linear(30, 16)
        self.w2 = nn.Linear(16, K)

    def forward(self, x, a):
        x = F.dropout(x, 0.5, self.training)
        x = F.relu(a @ self.w1(x))
        x = F.dropout(x, 0.5, self.training)
        return a @ self.w2(x)


model = GCN()
opt = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=5e-4)
for epoch in range(1, 201):
    model.train()
    opt.zero_grad()
    loss = F.cross_entropy(model(X, A_hat)[train], label[train])
    loss.backward()
    opt.step()
    if epoch % 20 == 0:
        model.eval()
        with torch.no_grad():
            out = model(X, A_hat)
        acc = (out.argmax(1) == label).float()
        print(f"epoch {epoch} loss {loss.item():.3f} labelled acc {acc[train].mean():.3f} val loss {F.cross_entropy(out[val], label[val]):.3f} acc {acc[val].mean():.3f}")
