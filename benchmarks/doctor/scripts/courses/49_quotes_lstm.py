"""Tag every character of a random string: is it inside quotes?"""
import torch
import torch.nn as nn

torch.manual_seed(34)
N, L = 1500, 20
x = torch.randint(1, 6, (N, L))
x[torch.rand(N, L) < 0.2] = 0          # 0 is the quote mark
y = ((x == 0).cumsum(1) % 2).float()
xt, yt, xv, yv = x[:1200], y[:1200], x[1200:], y[1200:]


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(6, 12)
        self.lstm = nn.LSTM(12, 32, batch_first=True)
        self.out = nn.Linear(32, 1)

    def forward(self, x):
        h, _ = self.lstm(self.emb(x))
        return self.out(h).squeeze(-1)


def train(epochs=14, lr=0.5, max_norm=None):
    model = Tagger()
    opt = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    bce = nn.BCEWithLogitsLoss()
    for epoch in range(epochs):
        model.train()
        losses = []
        for idx in torch.randperm(len(xt)).split(32):
            opt.zero_grad()
            loss = bce(model(xt[idx]), yt[idx])
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), max_norm)
            opt.step()
            losses.append(loss.item())
        model.eval()
        with torch.no_grad():
            z = model(xv)
            acc = ((z > 0).float() == yv).float().mean().item()
        print(f"epoch {epoch + 1:2d} loss {sum(losses) / len(losses):.4f} val loss {bce(z, yv).item():.4f} val acc {acc:.3f}")


train(max_norm=1e-3)
