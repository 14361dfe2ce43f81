import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

torch.manual_seed(29)
X, y = load_digits(return_X_y=True)
X_train, X_val, y_train, y_val = train_test_split(X, y, test_size=0.25, random_state=29, stratify=y)
mean, std = X_train.mean(), X_train.std()
X_train = torch.tensor((X_train - mean) / std, dtype=torch.float32)
X_val = torch.tensor((X_val - mean) / std, dtype=torch.float32)
y_train, y_val = torch.tensor(y_train), torch.tensor(y_val)
T_train, T_val = F.one_hot(y_train, 10).float(), F.one_hot(y_val, 10).float()


class MLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(64, 64)
        self.output = nn.Linear(64, 10)

    def forward(self, x):
        x = torch.relu(self.hidden(x))
        return torch.sigmoid(self.output(x))


net = MLP()
criterion = nn.MSELoss()
optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
for epoch in range(10):
    net.train()
    perm = torch.randperm(len(X_train))
    for i in range(0, len(perm), 32):
        b = perm[i:i + 32]
        optimizer.zero_grad()
        loss = criterion(net(X_train[b]), T_train[b])
        loss.backward()
        optimizer.step()
    net.eval()
    with torch.no_grad():
        p = net(X_val)
    print(f"epoch {epoch + 1} loss {loss.item():.4f} val loss {criterion(p, T_val).item():.4f} val acc {(p.argmax(1) == y_val).float().mean().item():.4f}")
