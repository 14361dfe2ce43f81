# Network for disease progression, compared with the mean predictor.
import torch
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split

torch.manual_seed(0)
X, y = load_diabetes(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.25, random_state=42)
xm, xs = X_train.mean(axis=0), X_train.std(axis=0)
ym, ys = y_train.mean(), y_train.std()
to = lambda a: torch.tensor(a, dtype=torch.float32)
X_train, X_test = to((X_train - xm) / xs), to((X_test - xm) / xs)
y_train, y_test = to((y_train - ym) / ys).reshape(-1, 1), to((y_test - ym) / ys).reshape(-1, 1)

net = torch.nn.Sequential(torch.nn.Linear(10, 256), torch.nn.ReLU(), torch.nn.Linear(256, 256), torch.nn.ReLU(), torch.nn.Linear(256, 1))
opt = torch.optim.Adam(net.parameters(), lr=1e-3)
gen = torch.Generator().manual_seed(0)

for epoch in range(100):
    order = torch.randperm(len(X_train), generator=gen)
    losses = []
    for i in range(0, len(order), 32):
        j = order[i:i + 32]
        loss = ((net(X_train[j]) - y_train[j]) ** 2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
    with torch.no_grad():
        test = ((net(X_test) - y_test) ** 2).mean().item()
        base = ((y_test - y_train.mean()) ** 2).mean().item()
    print(f"epoch {epoch:2d} train {sum(losses) / len(losses):.3f} test {test:.3f} R2 {1 - test / base:.3f}")
