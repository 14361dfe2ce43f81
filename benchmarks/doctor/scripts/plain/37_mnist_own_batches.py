import numpy as np
import torch
import torch.nn as nn

np.random.seed(23)
torch.manual_seed(23)

f = np.load("data/mnist.npz")
X_train = f["x_train"][:15000].reshape(-1, 784).astype("float32") / 255
y_train = f["y_train"][:15000].astype("int64")
X_test = torch.from_numpy(f["x_test"][:3000].reshape(-1, 784).astype("float32") / 255)
y_test = torch.from_numpy(f["y_test"][:3000].astype("int64"))

model = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
loss_fn = nn.CrossEntropyLoss()
optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3)
batch_size = 64

for epoch in range(5):
    # new order for every epoch
    perm = np.random.permutation(len(X_train))
    X_shuf = X_train[perm]
    y_shuf = y_train[np.random.permutation(len(y_train))]
    model.train()
    losses = []
    for s in range(0, len(X_train), batch_size):
        xb = torch.from_numpy(X_shuf[s:s + batch_size])
        yb = torch.from_numpy(y_shuf[s:s + batch_size])
        optimizer.zero_grad()
        loss = loss_fn(model(xb), yb)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    model.eval()
    with torch.no_grad():
        out = model(X_test)
        acc = (out.argmax(1) == y_test).float().mean().item()
        test_loss = loss_fn(out, y_test).item()
    print("epoch", epoch + 1, "train loss %.4f" % np.mean(losses), "test loss %.4f" % test_loss, "acc %.4f" % acc)
