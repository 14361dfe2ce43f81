import torch
from sklearn.datasets import make_regression

torch.manual_seed(1)
X, y, coef = make_regression(1200, 12, n_informative=8, noise=15.0, coef=True, random_state=1)
X, y = torch.tensor(X).float(), torch.tensor(y).float().unsqueeze(1)
y = y / y[:900].std()
model = torch.nn.Linear(12, 1)
opt = torch.optim.SGD(model.parameters(), lr=0.02)
for epoch in range(10):
    perm = torch.randperm(900)
    for i in range(0, 900, 30):
        b = perm[i:i + 30]
        loss = ((y[b] - model(X[b])) ** 2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
    with torch.no_grad():
        train = ((y[:900] - model(X[:900])) ** 2).mean()
        test = ((y[900:] - model(X[900:])) ** 2).mean()
    print(f"epoch {epoch} train mse {train:.4f} test mse {test:.4f}")
