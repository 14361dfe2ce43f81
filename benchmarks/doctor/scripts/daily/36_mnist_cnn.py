import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
import numpy as np

SEED = 1234
torch.manual_seed(SEED)
d = np.load("embedded/mnist_5k_1k.npz")
to = lambda a: torch.from_numpy((a.astype(np.float32) / 255.0 - 0.13) / 0.31).unsqueeze(1)
train = DataLoader(TensorDataset(to(d["x_train"][:3000]), torch.from_numpy(d["y_train"][:3000].astype(np.int64))), batch_size=64, shuffle=True)
x_val, y_val = to(d["x_test"]), torch.from_numpy(d["y_test"].astype(np.int64))

cnn = nn.Sequential(
    nn.Conv2d(1, 8, 5, stride=2), nn.ReLU(),
    nn.Conv2d(8, 16, 5, stride=2), nn.ReLU(),
    nn.Flatten(), nn.Linear(16 * 4 * 4, 10),
)
loss_function = nn.CrossEntropyLoss()
optimizer = torch.optim.NAdam(cnn.parameters(), lr=3e-5)

for epoch in range(1, 9):
    cnn.train()
    loss_sum, count = 0.0, 0
    for images, labels in train:
        optimizer.zero_grad()
        loss = loss_function(cnn(images), labels)
        loss.backward()
        optimizer.step()
        loss_sum += loss.item() * labels.numel()
        count += labels.numel()
    cnn.eval()
    with torch.no_grad():
        logits = cnn(x_val)
    print(f"[{epoch}] train_loss={loss_sum / count:.4f} val_loss={loss_function(logits, y_val).item():.4f} val_acc={(logits.argmax(1) == y_val).float().mean().item():.4f}")
