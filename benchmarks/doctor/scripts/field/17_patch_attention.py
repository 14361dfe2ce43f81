import torch
from torch import nn
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

torch.manual_seed(12)

x, y = load_digits(return_X_y=True)
x = torch.tensor(x, dtype=torch.float32).reshape(-1, 8, 8)
y = torch.tensor(y)
x = (x / 16 - 0.3) / 0.38
i_train, i_test = train_test_split(torch.arange(len(y)), test_size=0.25, stratify=y, random_state=1)


def patchify(img, p=2):
    n = img.shape[0]
    return img.reshape(n, 8 // p, p, 8 // p, p).transpose(2, 3).reshape(n, -1, p * p)


class TinyViT(nn.Module):
    def __init__(self, tokens=16, width=32, depth=2, classes=10):
        super().__init__()
        self.embed = nn.Linear(4, width)
        self.pos = nn.Parameter(0.02 * torch.randn(1, tokens, width))
        layer = nn.TransformerEncoderLayer(width, nhead=4, dim_feedforward=64, dropout=0.0,
                                           activation="gelu", batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)

    def forward(self, img):
        h = self.encoder(self.embed(patchify(img)) + self.pos)
        return self.head(self.norm(h.mean(1)))


model = TinyViT()
n_params = sum(p.numel() for p in model.parameters())
epochs, batch = 12, 64
steps = epochs * (len(i_train) // batch)
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3, weight_decay=0.1)
warm = torch.optim.lr_scheduler.LinearLR(optimizer, 0.1, total_iters=20)
cos = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps - 20)
scheduler = torch.optim.lr_scheduler.SequentialLR(optimizer, [warm, cos], milestones=[20])
criterion = nn.CrossEntropyLoss()
print(f"{n_params} parameters, {steps} steps")

for epoch in range(1, epochs + 1):
    model.train()
    shuffled = i_train[torch.randperm(len(i_train))]
    running = 0.0
    for b in range(len(i_train) // batch):
        idx = shuffled[b * batch:(b + 1) * batch]
        loss = criterion(model(x[idx]), y[idx])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        running += loss.item()
    if epoch % 2 == 0:
        model.eval()
        with torch.no_grad():
            acc = (model(x[i_test]).argmax(-1) == y[i_test]).float().mean()
        print(f"epoch {epoch:2d}  loss {running / (b + 1):.4f}  test acc {acc:.4f}")
