import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(3)
d = np.load("embedded/fashion_mnist_5k_1k.npz")
xtr = torch.from_numpy(d["x_train"]).float().div(255).sub(0.286).div(0.353).unsqueeze(1)
xte = torch.from_numpy(d["x_test"]).float().div(255).sub(0.286).div(0.353).unsqueeze(1)
ytr, yte = torch.from_numpy(d["y_train"]).long(), torch.from_numpy(d["y_test"]).long()


class ClothesNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, stride=2, padding=1)
        self.conv2 = nn.Conv2d(8, 16, 3, stride=2, padding=1)
        self.fc1 = nn.Linear(16 * 7 * 7, 64)
        self.fc2 = nn.Linear(64, 10)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = F.relu(self.conv2(x)).flatten(1)
        x = F.relu(self.fc1(x))
        return F.softmax(self.fc2(x), dim=1)


net = ClothesNet()
opt = torch.optim.SGD(net.parameters(), lr=0.03, momentum=0.9)
for epoch in range(8):
    net.train()
    order = torch.randperm(len(xtr))
    losses = []
    for idx in order.split(64):
        out = net(xtr[idx])
        target = F.one_hot(ytr[idx], 10).float()
        loss = F.binary_cross_entropy(out, target)
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
    net.eval()
    with torch.no_grad():
        acc = (net(xte).argmax(1) == yte).float().mean()
    print("epoch", epoch, "loss", round(np.mean(losses), 4), "test acc", round(acc.item(), 4))
