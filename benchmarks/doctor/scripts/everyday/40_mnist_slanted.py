import numpy as np
import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(40)
z = np.load("embedded/mnist_5k_1k.npz")
to_x = lambda a: (torch.tensor(a, dtype=torch.float32)[:, None] / 255 - 0.13) / 0.31
X, Y = to_x(z["x_train"]), torch.tensor(z["y_train"]).long()
Xv, Yv = to_x(z["x_test"]), torch.tensor(z["y_test"]).long()


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 5, stride=2, padding=2)
        self.conv2 = nn.Conv2d(8, 16, 3, stride=2, padding=1)
        self.fc1 = nn.Linear(784, 64)
        self.fc2 = nn.Linear(64, 10)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = F.relu(self.conv2(x))
        return self.fc2(F.relu(self.fc1(x.flatten(1))))


@torch.no_grad()
def accuracy(model, x, y):
    model.eval()
    return (model(x).argmax(1) == y).float().mean().item()


def fit(model, x, y, xv, yv, lr, epochs, batch, name):
    opt = torch.optim.Adam(model.parameters(), lr=lr)
    for epoch in range(1, epochs + 1):
        model.train()
        tot = 0.0
        for idx in torch.randperm(len(x)).split(batch):
            loss = F.cross_entropy(model(x[idx]), y[idx])
            opt.zero_grad()
            loss.backward()
            opt.step()
            tot += loss.item() * len(idx)
        print(f"{name} {epoch}: train loss {tot / len(x):.4f} val acc {accuracy(model, xv, yv):.4f}")


model = Net()
fit(model, X[:4500], Y[:4500], Xv, Yv, lr=1e-3, epochs=4, batch=64, name="pretrain")
base = {k: v.clone() for k, v in model.state_dict().items()}

# the new scanner slants the pages a little; only 200 labelled digits from it
slant = torch.tensor([[1.0, 0.35, 0.0], [0.0, 1.0, 0.0]])
warp = lambda a: F.grid_sample(a, F.affine_grid(slant.expand(len(a), 2, 3), a.shape, align_corners=False), padding_mode="border", align_corners=False)
Xn, Yn, Xnv = warp(X[4500:4700]), Y[4500:4700], warp(Xv)
tuned = Net()
tuned.load_state_dict(base)
print(f"before fine-tuning: {accuracy(tuned, Xnv, Yv):.4f}")
fit(tuned, Xn, Yn, Xnv, Yv, lr=2e-2, epochs=12, batch=20, name="finetune")
