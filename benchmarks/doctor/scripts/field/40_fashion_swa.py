import numpy as np
import torch
import torch.nn as nn
from torch.optim.swa_utils import AveragedModel, SWALR
from torch.utils.data import DataLoader, TensorDataset

EPOCHS, SWA_START, BATCH = 7, 4, 64


def get_data():
    z = np.load("embedded/fashion_mnist_5k_1k.npz")
    to_x = lambda a: (torch.from_numpy(a).float().unsqueeze(1) / 255 - 0.286) / 0.353
    to_y = lambda a: torch.from_numpy(a.astype("int64"))
    return (TensorDataset(to_x(z["x_train"]), to_y(z["y_train"])),
            TensorDataset(to_x(z["x_test"]), to_y(z["y_test"])))


def augment(x):
    flip = torch.rand(len(x)) < 0.5
    x = x.clone()
    x[flip] = x[flip].flip(-1)
    return x


class SmallCNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, stride=2, padding=1), nn.GroupNorm(4, 16), nn.SiLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.GroupNorm(8, 32), nn.SiLU(),
        )
        self.classifier = nn.Sequential(nn.Flatten(), nn.Dropout(0.3), nn.Linear(32 * 49, 10))

    def forward(self, x):
        return self.classifier(self.features(x))


@torch.no_grad()
def evaluate(model, dataset):
    model.eval()
    ce, hits = 0.0, 0
    for x, y in DataLoader(dataset, 500):
        out = model(x)
        ce += nn.functional.cross_entropy(out, y, reduction="sum").item()
        hits += (out.argmax(1) == y).sum().item()
    return ce / len(dataset), hits / len(dataset)


def main():
    torch.manual_seed(123)
    train_set, test_set = get_data()
    loader = DataLoader(train_set, BATCH, shuffle=True, drop_last=True)
    model = SmallCNN()
    criterion = nn.CrossEntropyLoss(label_smoothing=0.05)
    opt = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=SWA_START, eta_min=0.01)
    swa_model = AveragedModel(model)
    swa_sched = SWALR(opt, swa_lr=0.015, anneal_epochs=1)
    for epoch in range(EPOCHS):
        model.train()
        total = 0.0
        for x, y in loader:
            opt.zero_grad(set_to_none=True)
            loss = criterion(model(augment(x)), y)
            loss.backward()
            opt.step()
            total += loss.item()
        if epoch >= SWA_START:
            swa_model.update_parameters(model)
            swa_sched.step()
        else:
            cosine.step()
        print(f"epoch {epoch} smoothed loss {total / len(loader):.4f} test ce/acc %.4f %.3f" % evaluate(model, test_set))
    print("SWA test ce/acc %.4f %.3f" % evaluate(swa_model, test_set))


if __name__ == "__main__":
    main()
