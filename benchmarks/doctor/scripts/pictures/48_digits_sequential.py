import torch
from torch import nn
from sklearn import datasets, model_selection

torch.manual_seed(21)
X, y = datasets.load_digits(return_X_y=True)
X = X / 16.0
X_tr, X_va, y_tr, y_va = model_selection.train_test_split(X, y, test_size=400, random_state=21)
mean = X_tr.mean()
std = X_tr.std()
X_tr = torch.tensor((X_tr - mean) / std).float()
X_va = torch.tensor((X_va - mean) / std).float()
y_tr, y_va = torch.tensor(y_tr), torch.tensor(y_va)

model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
loss_fn = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.001)
ds = torch.utils.data.TensorDataset(X_tr, y_tr)
dl = torch.utils.data.DataLoader(ds, batch_size=32, shuffle=True)

for epoch in range(15):
    total_loss = 0
    for features, target in dl:
        optimizer.zero_grad()
        loss = loss_fn(model(features), target)
        loss.backward()
        optimizer.step()
        total_loss += loss.item()
    with torch.no_grad():
        val_out = model(X_va)
        val_loss = loss_fn(val_out, y_va).item()
        val_acc = (val_out.argmax(dim=1) == y_va).float().mean().item()
    print(f"Epoch {epoch + 1}, Train loss: {total_loss / len(dl):.4f}, Val loss: {val_loss:.4f}, Val acc: {val_acc:.4f}")
