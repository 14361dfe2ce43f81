import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(6)


def images(name, part):
    z = np.load(f"embedded/{name}_5k_1k.npz")
    x = torch.from_numpy(z[f"x_{part}"]).float().view(-1, 1, 28, 28) / 255
    return (x - 0.2) / 0.33, torch.from_numpy(z[f"y_{part}"]).long()


def make_encoder():
    return nn.Sequential(
        nn.Conv2d(1, 8, 5, stride=2, padding=2), nn.GELU(),
        nn.Conv2d(8, 12, 3, stride=2, padding=1), nn.GELU(),
        nn.Flatten(), nn.Linear(12 * 49, 32), nn.GELU())


class Classifier(nn.Module):
    def __init__(self, encoder, n_classes):
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(32, n_classes)

    def forward(self, x):
        return self.head(self.encoder(x))

    def set_encoder_trainable(self, flag):
        for p in self.encoder.parameters():
            p.requires_grad = flag


def epoch_loop(model, loader, optimizer, loss_fn):
    model.train()
    losses = []
    for x, y in loader:
        loss = loss_fn(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return np.mean(losses)


@torch.no_grad()
def accuracy(model, x, y):
    model.eval()
    return (model(x).argmax(1) == y).float().mean().item()


# 1. digits
xd, yd = images("mnist", "train")
encoder = make_encoder()
digits = Classifier(encoder, 10)
opt = torch.optim.Adam(digits.parameters(), lr=1e-3)
loader = DataLoader(TensorDataset(xd, yd), batch_size=64, shuffle=True)
for _ in range(2):
    print(f"digits loss {epoch_loop(digits, loader, opt, nn.CrossEntropyLoss()):.3f}")

# 2. clothes: head first, then everything
xf, yf = images("fashion_mnist", "train")
test = images("fashion_mnist", "test")
loader = DataLoader(TensorDataset(xf, yf), batch_size=64, shuffle=True)
model = Classifier(encoder, 10)
model.set_encoder_trainable(False)
optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=2e-3)
loss_fn = nn.CrossEntropyLoss(label_smoothing=0.05)
for epoch in range(8):
    if epoch == 2:
        model.set_encoder_trainable(True)
    loss = epoch_loop(model, loader, optimizer, loss_fn)
    print(f"clothes epoch {epoch}: loss {loss:.3f}  test acc {accuracy(model, *test):.3f}")
