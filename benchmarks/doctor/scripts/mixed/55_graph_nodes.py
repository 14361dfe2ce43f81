"""Semi-supervised node classification on a stochastic block model (full-batch GCN)."""
import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(15)
N, C, D = 600, 4, 16
labels = torch.arange(N) % C
same = labels[:, None] == labels[None]
probs = torch.where(same, 0.06, 0.012)
upper = torch.triu(torch.bernoulli(probs), 1)
A = upper + upper.T + torch.eye(N)
d = A.sum(1).rsqrt()
A_hat = d[:, None] * A * d[None]
centres = 0.6 * torch.randn(C, D)
feats = centres[labels] + torch.randn(N, D)
order = torch.randperm(N)
train_mask, val_mask = order[:120], order[120:360]


class GCN(nn.Module):
    def __init__(self, hidden=16):
        super().__init__()
        self.w1 = nn.Linear(D, hidden)
        self.w2 = nn.Linear(hidden, C)

    def forward(self, x, a):
        h = F.dropout(F.relu(a @ self.w1(x)), 0.4, training=self.training)
        return a @ self.w2(h)


gcn = GCN()
optimizer = torch.optim.Adam(gcn.parameters(), lr=0.01, weight_decay=5e-4)
for epoch in range(100):
    gcn.train()
    out = gcn(feats, A_hat)
    loss = F.cross_entropy(out[train_mask], labels[train_mask])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if epoch % 10 == 9:
        gcn.eval()
        with torch.no_grad():
            z = gcn(feats, A_hat)
            vl = F.cross_entropy(z[val_mask], labels[val_mask])
            va = (z[val_mask].argmax(1) == labels[val_mask]).float().mean()
        print(f"epoch {epoch + 1:3d} loss {loss.item():.4f} val loss {vl:.4f} val acc {va:.3f}")
