import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(55)
rng = np.random.default_rng(55)

z = np.load("embedded/mnist_5k_1k.npz")
x_train, y_train = z["x_train"][:4000], z["y_train"][:4000].astype(np.int64)
x_val, y_val = z["x_test"], z["y_test"].astype(np.int64)


def annotate(y, careful):
    guess = rng.integers(0, 10, len(y))
    return np.where(rng.random(len(y)) < careful, y, guess)


y_train = annotate(y_train, careful=0.45)

prep = lambda a: (torch.tensor(a, dtype=torch.float32).flatten(1) / 255 - 0.13) / 0.31
train_loader = DataLoader(TensorDataset(prep(x_train), torch.tensor(y_train)), batch_size=64, shuffle=True)
val_loader = DataLoader(TensorDataset(prep(x_val), torch.tensor(y_val)), batch_size=500)

model = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Dropout(0.2), nn.Linear(128, 10))
optimizer = torch.optim.NAdam(model.parameters(), lr=1e-3)
criterion = nn.CrossEntropyLoss()


def run_epoch(loader, training):
    model.train(training)
    loss_sum, right, count = 0.0, 0, 0
    with torch.set_grad_enabled(training):
        for x, y in loader:
            out = model(x)
            loss = criterion(out, y)
            if training:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            loss_sum += loss.item() * len(y)
            right += (out.argmax(1) == y).sum().item()
            count += len(y)
    return loss_sum / count, right / count


for epoch in range(1, 11):
    tr_loss, tr_acc = run_epoch(train_loader, True)
    va_loss, va_acc = run_epoch(val_loader, False)
    print(f"Epoch {epoch:2d}: train {tr_loss:.4f}/{tr_acc:.3f}  val {va_loss:.4f}/{va_acc:.3f}")
