import torch
from torch import nn, optim
from sklearn.datasets import make_classification
from sklearn.model_selection import train_test_split

torch.manual_seed(14)
X, y = make_classification(n_samples=3000, n_features=20, n_informative=10, n_classes=4, class_sep=1.5, random_state=14)
X = (X - X.mean(0)) / X.std(0)
Xtr, Xva, ytr, yva = train_test_split(torch.tensor(X).float(), torch.tensor(y), test_size=0.25, random_state=14)


def init_weights(module):
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, mean=0.0, std=1.0)
        nn.init.zeros_(module.bias)


net = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 4))
net.apply(init_weights)
optimizer = optim.Adam(net.parameters(), lr=1e-3)
criterion = nn.CrossEntropyLoss()

for epoch in range(15):
    net.train()
    order = torch.randperm(len(Xtr))
    loss_sum = 0.0
    for k in range(0, len(order), 50):
        sel = order[k:k + 50]
        optimizer.zero_grad()
        loss = criterion(net(Xtr[sel]), ytr[sel])
        loss.backward()
        optimizer.step()
        loss_sum += loss.item() * len(sel)
    net.eval()
    with torch.no_grad():
        out = net(Xva)
        print(f"epoch {epoch:2d}: train {loss_sum / len(Xtr):.3f} val {criterion(out, yva).item():.3f} acc {(out.argmax(1) == yva).float().mean().item():.3f}")
