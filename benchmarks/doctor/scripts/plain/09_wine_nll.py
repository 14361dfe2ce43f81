import numpy as np
import torch
from torch import nn, optim
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

torch.manual_seed(0)

wine = load_wine()
X_train, X_test, y_train, y_test = train_test_split(
    wine.data, wine.target, test_size=0.3, random_state=0, stratify=wine.target)
scaler = StandardScaler()
X_train = torch.FloatTensor(scaler.fit_transform(X_train))
X_test = torch.FloatTensor(scaler.transform(X_test))
y_train, y_test = torch.LongTensor(y_train), torch.LongTensor(y_test)

model = nn.Sequential(
    nn.Linear(13, 16),
    nn.Tanh(),
    nn.Linear(16, 3),
    nn.LogSoftmax(dim=1),
)
criterion = nn.NLLLoss()
optimizer = optim.Adam(model.parameters(), lr=0.005, weight_decay=1e-3)

EPOCHS = 40
BATCH = 16
for epoch in range(EPOCHS):
    model.train()
    perm = torch.randperm(X_train.size(0))
    losses = []
    for i in range(0, X_train.size(0), BATCH):
        batch = perm[i:i + BATCH]
        optimizer.zero_grad()
        loss = criterion(model(X_train[batch]), y_train[batch])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    model.eval()
    with torch.no_grad():
        logp = model(X_test)
        test_loss = criterion(logp, y_test).item()
        acc = (logp.argmax(1) == y_test).float().mean().item()
    if epoch % 5 == 4:
        print(f"Epoch {epoch + 1}/{EPOCHS} train loss {np.mean(losses):.4f} test loss {test_loss:.4f} acc {acc:.3f}")
