from sklearn import datasets
import torch
from torch import nn, optim

torch.manual_seed(31)
bunch = datasets.load_digits()
features = torch.tensor(bunch.data, dtype=torch.float32)
labels = torch.tensor(bunch.target, dtype=torch.long)
order = torch.randperm(len(labels))
features, labels = features[order], labels[order]
n = 1350
center, scale = features[:n].mean(), features[:n].std()
features = (features - center) / scale
train_x, train_y = features[:n], labels[:n]
test_x, test_y = features[n:], labels[n:]

targets = torch.eye(10)[train_y]

model = nn.Sequential(
    nn.Linear(64, 64), nn.ELU(), nn.Dropout(0.2),
    nn.Linear(64, 32), nn.ELU(), nn.Dropout(0.2),
    nn.Linear(32, 10),
)
criterion = nn.MSELoss()
optimizer = optim.Adagrad(model.parameters(), lr=0.02)

for epoch in range(20):
    model.train()
    train_loss = 0.0
    idx = torch.randperm(n)
    for s in range(0, n, 45):
        rows = idx[s:s + 45]
        optimizer.zero_grad()
        loss = criterion(model(train_x[rows]), targets[rows])
        loss.backward()
        optimizer.step()
        train_loss += loss.item() * len(rows) / n
    model.eval()
    with torch.inference_mode():
        out = model(test_x)
        acc = (out.argmax(dim=1) == test_y).float().mean()
        print("epoch", epoch, "train loss", round(train_loss, 4), "test loss", round(criterion(out, torch.eye(10)[test_y]).item(), 4), "acc", round(acc.item(), 4))
