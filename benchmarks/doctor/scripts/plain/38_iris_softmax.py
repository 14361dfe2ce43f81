# Exercise 2.4: softmax regression on the iris flowers
import torch
from sklearn.datasets import load_iris
from sklearn.model_selection import train_test_split

torch.manual_seed(2)
iris = load_iris()
X_train, X_test, y_train, y_test = train_test_split(iris.data, iris.target, test_size=0.3, random_state=2,
                                                    stratify=iris.target)
mean, std = X_train.mean(axis=0), X_train.std(axis=0)
X_train = torch.tensor((X_train - mean) / std).float()
X_test = torch.tensor((X_test - mean) / std).float()
y_train, y_test = torch.tensor(y_train), torch.tensor(y_test)


class SoftmaxRegression(torch.nn.Module):
    def __init__(self, d, k):
        super().__init__()
        self.linear = torch.nn.Linear(d, k)

    def forward(self, x):
        return self.linear(x)


net = SoftmaxRegression(4, 3)
opt = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
loss_fn = torch.nn.CrossEntropyLoss()

for epoch in range(40):
    for idx in torch.randperm(len(X_train)).split(15):
        opt.zero_grad()
        loss_fn(net(X_train[idx]), y_train[idx]).backward()
        opt.step()
    if epoch % 4 == 3:
        with torch.no_grad():
            train_loss = loss_fn(net(X_train), y_train).item()
            logits = net(X_test)
            print(f"epoch {epoch + 1}: train loss {train_loss:.4f}, test loss {loss_fn(logits, y_test).item():.4f}, "
                  f"test accuracy {(logits.argmax(1) == y_test).float().mean().item():.3f}")
