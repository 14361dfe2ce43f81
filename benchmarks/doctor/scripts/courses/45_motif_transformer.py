"""Which motif is hidden in a DNA-like string? One-block transformer encoder."""
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset, random_split

torch.manual_seed(31)
N, L = 2400, 24
motifs = torch.tensor([[0, 1, 2, 0], [3, 2, 2, 1], [1, 1, 3, 3], [2, 0, 3, 1], [0, 0, 3, 2], [3, 1, 0, 1]])
seq = torch.randint(0, 4, (N, L))
cls = torch.randint(0, len(motifs), (N,))
for i in range(N):
    for _ in range(2):
        p = torch.randint(0, L - 4, (1,)).item()
        seq[i, p:p + 4] = motifs[cls[i]]


class MotifNet(nn.Module):
    def __init__(self, d=32, n_classes=6):
        super().__init__()
        self.kmer = nn.Embedding(256, d)
        self.pos = nn.Parameter(torch.zeros(1, L - 3, d))
        self.enc = nn.TransformerEncoderLayer(d, 4, 64, dropout=0.1, batch_first=True, norm_first=True)
        self.head = nn.Linear(d, n_classes)
        self.softmax = nn.Softmax(dim=1)

    def forward(self, s):
        k = s[:, :-3] * 64 + s[:, 1:-2] * 16 + s[:, 2:-1] * 4 + s[:, 3:]
        h = self.enc(self.kmer(k) + self.pos)
        return self.softmax(self.head(h.mean(1)))


train_set, val_set = random_split(TensorDataset(seq, cls), [2000, 400], generator=torch.Generator().manual_seed(31))
train_loader = DataLoader(train_set, batch_size=50, shuffle=True)
val_loader = DataLoader(val_set, batch_size=200)
model = MotifNet()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
criterion = nn.CrossEntropyLoss()


def evaluate():
    model.eval()
    hits, loss = 0, 0.0
    with torch.no_grad():
        for s, y in val_loader:
            o = model(s)
            loss += criterion(o, y).item() / len(val_loader)
            hits += (o.argmax(1) == y).sum().item()
    return loss, hits / len(val_set)


for epoch in range(8):
    model.train()
    tl = 0.0
    for s, y in train_loader:
        optimizer.zero_grad()
        loss = criterion(model(s), y)
        loss.backward()
        optimizer.step()
        tl += loss.item() / len(train_loader)
    vl, va = evaluate()
    print(f"Epoch {epoch + 1}: train_loss={tl:.4f} val_loss={vl:.4f} val_acc={va:.3f}")
