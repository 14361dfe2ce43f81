"""Small-image baseline used for the ablations in section 4."""
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


@dataclass
class Config:
    data: str = "embedded/mnist_5k_1k.npz"
    epochs: int = 5
    batch_size: int = 50
    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    warmup: int = 50
    seed: int = 7


class Trainer:
    def __init__(self, model, cfg, train_loader, val_loader):
        self.model, self.cfg = model, cfg
        self.train_loader, self.val_loader = train_loader, val_loader
        self.total = cfg.epochs * len(train_loader)
        self.optimizer = torch.optim.SGD(model.parameters(), lr=cfg.lr, momentum=cfg.momentum,
                                         weight_decay=cfg.weight_decay, nesterov=True)
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(self.optimizer, self._lr_lambda)
        self.loss_fn = nn.CrossEntropyLoss()
        self.history = []

    def _lr_lambda(self, step):
        if step < self.cfg.warmup:
            return (step + 1) / self.cfg.warmup
        done = min(1.0, (step - self.cfg.warmup) / (self.total - self.cfg.warmup))
        return 0.5 * (1 + np.cos(np.pi * done))

    def fit(self):
        for epoch in range(self.cfg.epochs):
            self.model.train()
            losses = []
            for images, labels in self.train_loader:
                loss = self.loss_fn(self.model(images), labels)
                self.optimizer.zero_grad()
                loss.backward()
                self.optimizer.step()
                self.scheduler.step()
                losses.append(loss.item())
            metrics = self.validate()
            self.history.append(metrics)
            print(f"epoch {epoch} train {np.mean(losses):.4f} val {metrics['loss']:.4f} acc {metrics['acc']:.3f}")

    @torch.inference_mode()
    def validate(self):
        self.model.eval()
        loss = correct = n = 0
        for images, labels in self.val_loader:
            logits = self.model(images)
            loss += self.loss_fn(logits, labels).item() * len(labels)
            correct += (logits.argmax(-1) == labels).sum().item()
            n += len(labels)
        return {"loss": loss / n, "acc": correct / n}


def build_model():
    return nn.Sequential(
        nn.Conv2d(1, 8, 5, stride=2, padding=2, bias=False), nn.BatchNorm2d(8), nn.ReLU(inplace=True),
        nn.Conv2d(8, 16, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(256, 10),
    )


def load(cfg):
    raw = np.load(cfg.data)
    as_tensor = lambda a: torch.tensor((a[:, None] / 255.0 - 0.1307) / 0.3081, dtype=torch.float32)
    train = TensorDataset(as_tensor(raw["x_train"]), torch.tensor(raw["y_train"], dtype=torch.long))
    val = TensorDataset(as_tensor(raw["x_test"]), torch.tensor(raw["y_test"], dtype=torch.long))
    return DataLoader(train, cfg.batch_size, shuffle=True), DataLoader(val, 500)


if __name__ == "__main__":
    cfg = Config()
    torch.manual_seed(cfg.seed)
    Trainer(build_model(), cfg, *load(cfg)).fit()
