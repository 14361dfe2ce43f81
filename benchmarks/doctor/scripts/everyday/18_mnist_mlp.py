import numpy as np
import torch
import torch.nn as nn

torch.manual_seed(10)

f = np.load("embedded/mnist_5k_1k.npz")
x_train = torch.tensor(f["x_train"], dtype=torch.float32).view(-1, 784).div(255).sub(0.13).div(0.31)
x_test = torch.tensor(f["x_test"], dtype=torch.float32).view(-1, 784).div(255).sub(0.13).div(0.31)
y_train = torch.tensor(f["y_train"], dtype=torch.long)
y_test = torch.tensor(f["y_test"], dtype=torch.long)

config = {
    "hidden": 64,
    "lr": 1e-3,
    "epochs": 10,
    "batch_size": 5000,
}

model = nn.Sequential(nn.Linear(784, config["hidden"]), nn.ReLU(), nn.Linear(config["hidden"], 10))
optimizer = torch.optim.Adam(model.parameters(), lr=config["lr"])
criterion = nn.CrossEntropyLoss()

history = []
for epoch in range(config["epochs"]):
    model.train()
    permutation = torch.randperm(x_train.size(0))
    train_loss, batches = 0.0, 0
    for i in range(0, x_train.size(0), config["batch_size"]):
        indices = permutation[i:i + config["batch_size"]]
        optimizer.zero_grad()
        outputs = model(x_train[indices])
        loss = criterion(outputs, y_train[indices])
        loss.backward()
        optimizer.step()
        train_loss += loss.item()
        batches += 1
    model.eval()
    with torch.no_grad():
        val_out = model(x_test)
        val_loss = criterion(val_out, y_test).item()
        val_acc = (val_out.argmax(1) == y_test).float().mean().item()
    history.append(val_acc)
    print(f"Epoch {epoch + 1}: train_loss={train_loss / batches:.4f} val_loss={val_loss:.4f} val_acc={val_acc:.4f}")
print("best", max(history))
