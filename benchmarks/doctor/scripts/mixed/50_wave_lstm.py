import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import TensorDataset, DataLoader

rng = np.random.RandomState(4)
torch.manual_seed(4)


def wave(kind, T=40):
    t = np.arange(T)
    p, ph = rng.uniform(7, 13), rng.uniform(0, 1)
    u = (t / p + ph) % 1
    if kind == 0:
        s = np.sin(2 * np.pi * u)
    elif kind == 1:
        s = np.sign(np.sin(2 * np.pi * u))
    elif kind == 2:
        s = 2 * u - 1
    else:
        s = np.abs(np.sin(np.pi * u)) ** 3
    s = (s - s.mean()) / s.std()
    return s + 0.12 * rng.randn(T)


per = 400
X = np.concatenate([[wave(k) for _ in range(per)] for k in range(4)]).astype('float32')[..., None]
y = np.repeat(np.arange(4), per)
order = rng.permutation(len(y))
X, y = X[order], y[order]
n_val = 320
rest = n_val + np.argsort(y[n_val:], kind='stable')
train_ds = TensorDataset(torch.from_numpy(X[rest]), torch.from_numpy(y[rest]))
val_x, val_y = torch.from_numpy(X[:n_val]), torch.from_numpy(y[:n_val])
train_dl = DataLoader(train_ds, batch_size=32, shuffle=False)


class Classifier(nn.Module):
    def __init__(self, hidden=32):
        super().__init__()
        self.conv = nn.Conv1d(1, 12, 5, stride=2)
        self.lstm = nn.LSTM(12, hidden, batch_first=True)
        self.fc = nn.Linear(hidden, 4)

    def forward(self, x):
        h = torch.relu(self.conv(x.transpose(1, 2))).transpose(1, 2)
        out, (hn, cn) = self.lstm(h)
        return self.fc(out.mean(1))


model = Classifier()
optimizer = torch.optim.RMSprop(model.parameters(), lr=5e-3)
loss_function = nn.CrossEntropyLoss()
for epoch in range(12):
    model.train()
    seen = total = 0
    for xb, yb in train_dl:
        optimizer.zero_grad()
        loss = loss_function(model(xb), yb)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(yb)
        seen += len(yb)
    model.eval()
    with torch.no_grad():
        logits = model(val_x)
        val_loss = loss_function(logits, val_y).item()
        val_acc = (logits.argmax(1) == val_y).float().mean().item()
    print('Epoch %02d | loss %.4f | val_loss %.4f | val_acc %.3f' % (epoch, total / seen, val_loss, val_acc))
