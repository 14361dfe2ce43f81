import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler
from sklearn.metrics import balanced_accuracy_score, confusion_matrix

SEED = 101
torch.manual_seed(SEED)

FOOTWEAR = {5: 0, 7: 1, 9: 2}     # sandal, sneaker, boot
z = np.load("embedded/fashion_mnist_5k_1k.npz")


def subset(part, limit=None):
    x, y = z[f"x_{part}"], z[f"y_{part}"]
    index = []
    for original, new in FOOTWEAR.items():
        rows = np.flatnonzero(y == original)
        index.append(rows[:limit[new]] if limit else rows)
    index = np.concatenate(index)
    images = torch.tensor(x[index], dtype=torch.float32).unsqueeze(1).div(127.5).sub(1.0)
    labels = torch.tensor([FOOTWEAR[int(v)] for v in y[index]])
    return images, labels


x, y = subset("train", limit={0: 60, 1: 480, 2: 240})
x_test, y_test = subset("test")
freq = torch.bincount(y).float()
sampler = WeightedRandomSampler((1.0 / freq)[y], num_samples=768, replacement=True,
                                generator=torch.Generator().manual_seed(SEED))
loader = DataLoader(TensorDataset(x, y), batch_size=16, sampler=sampler)
print("training counts", freq.int().tolist())

ACCUMULATE = 2
model = nn.Sequential(
    nn.Conv2d(1, 16, 3, stride=2, padding=1), nn.GroupNorm(4, 16), nn.GELU(),
    nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.GroupNorm(4, 32), nn.GELU(),
    nn.AvgPool2d(2), nn.Flatten(), nn.Dropout(0.2), nn.Linear(32 * 9, 3),
)
opt = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.02)
loss_fn = nn.CrossEntropyLoss()


def predict(images):
    model.eval()
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        return model(images).float().argmax(1)


for epoch in range(1, 13):
    model.train()
    total = 0.0
    opt.zero_grad()
    for i, (xb, yb) in enumerate(loader, 1):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            out = model(xb)
        loss = loss_fn(out.float(), yb) / ACCUMULATE
        loss.backward()
        total += loss.item() * ACCUMULATE
        if i % ACCUMULATE == 0:
            opt.step()
            opt.zero_grad()
    if epoch % 2 == 0:
        score = balanced_accuracy_score(y_test.numpy(), predict(x_test).numpy())
        print(f"epoch {epoch:2d}  loss {total / len(loader):.4f}  balanced test accuracy {score:.4f}")

print(confusion_matrix(y_test.numpy(), predict(x_test).numpy()))
