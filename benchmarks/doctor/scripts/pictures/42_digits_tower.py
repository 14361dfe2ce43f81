# deep plain net experiments, digits
import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from sklearn.preprocessing import StandardScaler
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(33)
X, y = load_digits(return_X_y=True)
g = torch.Generator().manual_seed(33)
perm = torch.randperm(len(X), generator=g).numpy()
X = X[perm]
scaler = StandardScaler().fit(X[:1300])
X = torch.tensor(scaler.transform(X)).float()
y = torch.tensor(y)
train_dl = DataLoader(TensorDataset(X[:1300], y[:1300]), batch_size=64, shuffle=True, generator=g)

width, depth = 64, 8
layers = [nn.Linear(64, width), nn.ReLU()]
for _ in range(depth):
    layers += [nn.Linear(width, width), nn.ReLU()]
layers.append(nn.Linear(width, 10))
model = nn.Sequential(*layers)
for m in model:
    if isinstance(m, nn.Linear):
        nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
        nn.init.zeros_(m.bias)

criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
for epoch in range(15):
    model.train()
    for xb, yb in train_dl:
        optimizer.zero_grad()
        loss = criterion(model(xb), yb)
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        out = model(X[1300:])
        print(epoch, "val loss %.3f" % criterion(out, y[1300:]).item(),
              "val acc %.3f" % (out.argmax(1) == y[1300:]).float().mean().item())
