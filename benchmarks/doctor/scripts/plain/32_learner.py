"""A minimal Learner with callbacks, Fashion-MNIST."""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset


class DataLoaders:
    def __init__(self, train, valid):
        self.train, self.valid = train, valid


class Callback:
    def before_fit(self, learn): pass
    def after_batch(self, learn): pass
    def after_epoch(self, learn): pass


class OneCycle(Callback):
    def __init__(self, lr_max):
        self.lr_max = lr_max

    def before_fit(self, learn):
        self.sched = torch.optim.lr_scheduler.OneCycleLR(
            learn.opt, self.lr_max, total_steps=learn.n_epochs * len(learn.dls.train))

    def after_batch(self, learn):
        if learn.training:
            self.sched.step()


class Recorder(Callback):
    def after_epoch(self, learn):
        kind = "train" if learn.training else "valid"
        print(f"{learn.epoch} {kind} loss {learn.loss_sum / learn.n:.4f} accuracy {learn.hits / learn.n:.4f}")


class Learner:
    def __init__(self, dls, model, loss_func, opt_func, cbs=()):
        self.dls, self.model, self.loss_func, self.opt_func, self.cbs = dls, model, loss_func, opt_func, cbs

    def __call__(self, name):
        for cb in self.cbs:
            getattr(cb, name)(self)

    def one_batch(self):
        self.preds = self.model(self.xb)
        self.loss = self.loss_func(self.preds, self.yb)
        if self.training:
            self.loss.backward()
            self.opt.step()
            self.opt.zero_grad()
        self.loss_sum += self.loss.item() * len(self.yb)
        self.hits += (self.preds.argmax(1) == self.yb).sum().item()
        self.n += len(self.yb)
        self("after_batch")

    def one_epoch(self, train):
        self.training = train
        self.model.train(train)
        self.loss_sum = self.hits = self.n = 0
        with torch.set_grad_enabled(train):
            for self.xb, self.yb in (self.dls.train if train else self.dls.valid):
                self.one_batch()
        self("after_epoch")

    def fit(self, n_epochs):
        self.n_epochs = n_epochs
        self.opt = self.opt_func(self.model.parameters())
        self("before_fit")
        for self.epoch in range(n_epochs):
            self.one_epoch(True)
            self.one_epoch(False)


torch.manual_seed(42)
z = np.load("data/fashion_mnist.npz")
x = torch.tensor(z["x_train"][:20000].reshape(-1, 784) / 255, dtype=torch.float32)
y = torch.tensor(z["y_train"][:20000], dtype=torch.long)
xv = torch.tensor(z["x_test"][:4000].reshape(-1, 784) / 255, dtype=torch.float32)
yv = torch.tensor(z["y_test"][:4000], dtype=torch.long)
mean, std = x.mean(), x.std()
dls = DataLoaders(DataLoader(TensorDataset((x - mean) / std, y), batch_size=128, shuffle=True),
                  DataLoader(TensorDataset((xv - mean) / std, yv), batch_size=500))
model = nn.Sequential(nn.Linear(784, 128), nn.BatchNorm1d(128), nn.ReLU(), nn.Dropout(0.2),
                      nn.Linear(128, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 10))
learn = Learner(dls, model, F.cross_entropy, lambda p: torch.optim.AdamW(p, lr=1e-3, weight_decay=1e-2),
                cbs=[OneCycle(4e-3), Recorder()])
learn.fit(6)
