import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

torch.manual_seed(19)
N, L, V = 2400, 24, 12
seq = torch.randint(1, V, (N, L))
count = (seq == 3).sum(1) - (seq == 7).sum(1)
target = torch.bucketize(count.float(), torch.tensor([-0.5, 0.5]))
ds = TensorDataset(seq, target)
train_ds, val_ds = random_split(ds, [1900, 500])
train_dl = DataLoader(train_ds, 32, shuffle=True, drop_last=True)
val_dl = DataLoader(val_ds, 250)


class AttentionClassifier(nn.Module):
    def __init__(self, d=32, p=0.75):
        super().__init__()
        self.emb = nn.Embedding(V, d)
        self.pos = nn.Parameter(0.02 * torch.randn(1, L, d))
        self.encoder = nn.TransformerEncoderLayer(d, 4, 64, dropout=p, batch_first=True)
        self.drop = nn.Dropout(p)
        self.head = nn.Sequential(nn.Linear(d, 32), nn.ReLU(), nn.Dropout(p), nn.Linear(32, 3))

    def forward(self, x):
        return self.head(self.encoder(self.drop(self.emb(x) + self.pos)).mean(1))


model = AttentionClassifier()
opt = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01)
sched = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=4e-3, total_steps=5 * len(train_dl))
ce = nn.CrossEntropyLoss()
for epoch in range(5):
    model.train()
    total = 0.0
    for x, y in train_dl:
        loss = ce(model(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        sched.step()
        total += loss.item()
    model.eval()
    with torch.inference_mode():
        hits = sum((model(x).argmax(1) == y).sum().item() for x, y in val_dl)
    print(f"epoch {epoch} loss {total / len(train_dl):.3f} val {hits / len(val_ds):.3f}")
