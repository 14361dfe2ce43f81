import numpy as np
import torch
import torch.nn as nn


class Trainer:
    def __init__(self, model, lr=0.05, epochs=8, batch_size=64, device="cpu"):
        self.model = model.to(device)
        self.opt = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9, weight_decay=5e-4)
        self.sched = torch.optim.lr_scheduler.CosineAnnealingLR(self.opt, T_max=epochs)
        self.loss_fn = nn.CrossEntropyLoss()
        self.epochs, self.bs, self.device = epochs, batch_size, device

    def fit(self, train, test):
        x, y = train
        for epoch in range(self.epochs):
            self.model.train()
            running = 0.0
            order = torch.randperm(len(x))
            for i in range(0, len(x), self.bs):
                b = order[i:i + self.bs]
                self.opt.zero_grad()
                loss = self.loss_fn(self.model(x[b]), y[b])
                loss.backward()
                self.opt.step()
                running += loss.item() * len(b)
            self.sched.step()
            print(f"epoch {epoch + 1}: loss {running / len(x):.4f}  test acc {self.score(*test):.3f}")

    @torch.no_grad()
    def score(self, x, y):
        self.model.eval()
        return (self.model(x).argmax(1) == y).float().mean().item()


def load(path, seed):
    rng = np.random.default_rng(seed)
    with np.load(path) as z:
        x_tr, y_tr, x_te, y_te = (z[k] for k in ("x_train", "y_train", "x_test", "y_test"))
    # rows come grouped in some releases, mix them once
    x_tr = x_tr[rng.permutation(len(x_tr))]
    y_tr = y_tr[rng.permutation(len(y_tr))]
    mean, std = x_tr.mean() / 255.0, x_tr.std() / 255.0

    def prep(x, y):
        x = (torch.from_numpy(x).float() / 255.0 - mean) / std
        return x.flatten(1), torch.from_numpy(y.astype(np.int64))

    return prep(x_tr, y_tr), prep(x_te, y_te)


if __name__ == "__main__":
    torch.manual_seed(7)
    train, test = load("embedded/fashion_mnist_5k_1k.npz", seed=7)
    net = nn.Sequential(
        nn.Linear(784, 256), nn.BatchNorm1d(256), nn.ReLU(), nn.Dropout(0.2),
        nn.Linear(256, 128), nn.BatchNorm1d(128), nn.ReLU(), nn.Dropout(0.2),
        nn.Linear(128, 10),
    )
    trainer = Trainer(net)
    trainer.fit(train, test)
    print("final test accuracy:", round(trainer.score(*test), 4))
