# Ratings of films by users: biases and 6 latent factors
import torch
from torch import nn

torch.manual_seed(19)
U, I, K, N = 300, 200, 6, 16000
pu, qi = torch.randn(U, 3), torch.randn(I, 3)
u, i = torch.randint(U, (N,)), torch.randint(I, (N,))
stars = 3.5 + 0.4 * torch.randn(U)[u] + 0.4 * torch.randn(I)[i] + 0.45 * (pu[u] * qi[i]).sum(1) + 0.4 * torch.randn(N)
stars = stars.clamp(1, 5)
cut = 13000


class Factors(nn.Module):
    def __init__(self, mean):
        super().__init__()
        self.p, self.q = nn.Embedding(U, K), nn.Embedding(I, K)
        self.bu, self.bi = nn.Embedding(U, 1), nn.Embedding(I, 1)
        for e in (self.p, self.q):
            nn.init.normal_(e.weight, std=0.1)
        for e in (self.bu, self.bi):
            nn.init.zeros_(e.weight)
        self.register_buffer("mean", mean)

    def forward(self, u, i):
        return self.mean + self.bu(u).squeeze(1) + self.bi(i).squeeze(1) + (self.p(u) * self.q(i)).sum(1)


model = Factors(stars[:cut].mean())
opt = torch.optim.Adam(model.parameters(), lr=1e-2)
print("rmse of the mean", round((stars[cut:] - stars[:cut].mean()).pow(2).mean().sqrt().item(), 4))
for epoch in range(12):
    model.train()
    tot = 0.0
    for b in torch.randperm(cut).split(256):
        err = model(u[b], i[b]) - stars[b]
        penalty = 0.02 * (model.p(u[b]).pow(2).sum(1) + model.q(i[b]).pow(2).sum(1)).mean()
        loss = err.pow(2).mean() + penalty
        opt.zero_grad()
        loss.backward()
        opt.step()
        tot += err.detach().pow(2).sum().item()
    model.eval()
    with torch.no_grad():
        rmse = (model(u[cut:], i[cut:]) - stars[cut:]).pow(2).mean().sqrt().item()
    print(f"epoch {epoch} train rmse {(tot / cut) ** 0.5:.4f} val rmse {rmse:.4f}")
