"""Classic tanh perceptron with Xavier weights and log-softmax outputs."""
import torch
from torch import nn, optim
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

torch.manual_seed(66)
X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.3, random_state=66)
sc = StandardScaler()
X_train = torch.from_numpy(sc.fit_transform(X_train)).float()
X_test = torch.from_numpy(sc.transform(X_test)).float()
y_train, y_test = torch.from_numpy(y_train), torch.from_numpy(y_test)

net = nn.Sequential(nn.Linear(64, 50), nn.Tanh(), nn.Linear(50, 30), nn.Tanh(), nn.Linear(30, 10), nn.LogSoftmax(dim=1))
for m in net.modules():
    if isinstance(m, nn.Linear):
        nn.init.xavier_uniform_(m.weight)
        nn.init.zeros_(m.bias)
criterion = nn.NLLLoss()
optimizer = optim.Adagrad(net.parameters(), lr=0.03)
for epoch in range(12):
    net.train()
    order = torch.randperm(len(X_train))
    for i in range(0, len(order), 32):
        b = order[i:i + 32]
        optimizer.zero_grad()
        loss = criterion(net(X_train[b]), y_train[b])
        loss.backward()
        optimizer.step()
    net.eval()
    with torch.no_grad():
        lp = net(X_test)
        print(f"{epoch:2d} train {loss.item():.3f} test nll {criterion(lp, y_test):.3f} acc {(lp.argmax(1) == y_test).float().mean():.3f}")
