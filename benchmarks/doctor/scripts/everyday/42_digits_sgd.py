import numpy as np
import torch
from torch import nn
from sklearn.datasets import load_digits

torch.manual_seed(42)
np.random.seed(42)

digits = load_digits()
perm = np.random.permutation(len(digits.data))
x = torch.tensor(digits.data[perm] / 16.0, dtype=torch.float32)
labels = torch.tensor(digits.target[perm])
targets = torch.eye(10)[labels]
n = 1300


class Network(nn.Module):
    def __init__(self, sizes):
        super().__init__()
        self.fc1 = nn.Linear(sizes[0], sizes[1])
        self.fc2 = nn.Linear(sizes[1], sizes[2])

    def forward(self, a):
        a = torch.relu(self.fc1(a))
        return torch.sigmoid(self.fc2(a))


def sgd(net, epochs, mini_batch_size, eta):
    opt = torch.optim.SGD(net.parameters(), lr=eta, momentum=0.9)
    cost = nn.MSELoss()
    for epoch in range(epochs):
        order = torch.randperm(n)
        running = 0.0
        for k in range(0, n, mini_batch_size):
            batch = order[k:k + mini_batch_size]
            loss = cost(net(x[batch]), targets[batch])
            opt.zero_grad()
            loss.backward()
            opt.step()
            running += loss.item() * len(batch)
        with torch.no_grad():
            right = (net(x[n:]).argmax(1) == labels[n:]).sum().item()
        print(f"Epoch {epoch}: cost {running / n:.4f}, {right} / {len(x) - n}")


sgd(Network([64, 48, 10]), epochs=15, mini_batch_size=20, eta=0.02)
