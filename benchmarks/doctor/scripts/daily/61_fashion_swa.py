import numpy as np
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, SWALR, update_bn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(28)
d = np.load("embedded/fashion_mnist_5k_1k.npz")
norm = lambda a: ((torch.from_numpy(a).float() / 255 - 0.286) / 0.353)[:, None]
train = DataLoader(TensorDataset(norm(d["x_train"]), torch.from_numpy(d["y_train"]).long()), batch_size=64, shuffle=True, drop_last=True)
test = DataLoader(TensorDataset(norm(d["x_test"]), torch.from_numpy(d["y_test"]).long()), batch_size=500)
net = nn.Sequential(
    nn.Conv2d(1, 12, 3, 2, 1), nn.BatchNorm2d(12), nn.ReLU(),
    nn.Conv2d(12, 24, 3, 2, 1), nn.BatchNorm2d(24), nn.ReLU(),
    nn.Flatten(), nn.Dropout(0.3), nn.Linear(24 * 49, 10))
opt = torch.optim.SGD(net.parameters(), lr=0.03, momentum=0.9, weight_decay=1e-3)
swa = AveragedModel(net)
swa_sched = SWALR(opt, swa_lr=0.01, anneal_epochs=1)
crit = nn.CrossEntropyLoss()
EPOCHS, SWA_START = 8, 4


def score(m):
    m.eval()
    ok, l = 0, 0.0
    with torch.no_grad():
        for x, y in test:
            o = m(x)
            ok += (o.argmax(1) == y).sum().item()
            l += crit(o, y).item() * len(y)
    return l / 1000, ok / 1000


for epoch in range(EPOCHS):
    net.train()
    tot = 0.0
    for x, y in train:
        opt.zero_grad()
        loss = crit(net(x), y)
        loss.backward()
        opt.step()
        tot += loss.item()
    if epoch >= SWA_START:
        swa.update_parameters(net)
        swa_sched.step()
    print(f"epoch {epoch} train {tot / len(train):.4f} val %.4f acc %.4f" % score(net))
update_bn(train, swa)
print("averaged model val %.4f acc %.4f" % score(swa))
