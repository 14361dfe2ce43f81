import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(11)
data = np.load("embedded/fashion_mnist_5k_1k.npz")
x_train = torch.from_numpy(data["x_train"][:3000]).float().unsqueeze(1) / 127.5 - 1
y_train = torch.from_numpy(data["y_train"][:3000]).long()
x_val = torch.from_numpy(data["x_test"]).float().unsqueeze(1) / 127.5 - 1
y_val = torch.from_numpy(data["y_test"]).long()


class SmallCNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 12, 5, stride=2, padding=2, bias=False)
        self.b1 = nn.BatchNorm2d(12)
        self.c2 = nn.Conv2d(12, 24, 3, stride=2, padding=1, bias=False)
        self.b2 = nn.BatchNorm2d(24)
        self.fc = nn.Linear(24 * 7 * 7, 10)

    def forward(self, x):
        x = F.relu(self.b1(self.c1(x)))
        x = F.relu(self.b2(self.c2(x)))
        return self.fc(x.flatten(1))


model = SmallCNN()
epochs, bs = 6, 50
optimizer = torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.9, nesterov=True, weight_decay=5e-4)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs * (len(x_train) // bs))

for epoch in range(epochs):
    model.train()
    order = torch.randperm(len(x_train))
    losses = []
    for start in range(0, len(order), bs):
        b = order[start:start + bs]
        loss = F.cross_entropy(model(x_train[b]), y_train[b], label_smoothing=0.1)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
    model.eval()
    with torch.inference_mode():
        logits = model(x_val)
        val_loss = F.cross_entropy(logits, y_val).item()
        val_acc = (logits.argmax(-1) == y_val).float().mean().item()
    print(f"[{epoch + 1}/{epochs}] train {np.mean(losses):.3f} val {val_loss:.3f} acc {val_acc:.3f} "
          f"lr {scheduler.get_last_lr()[0]:.4f}")
