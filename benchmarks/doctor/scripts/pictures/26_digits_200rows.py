"""Only 200 labelled digits; keep the best weights by validation loss and stop when it no longer falls."""
import copy
import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

torch.manual_seed(0)
X, y = load_digits(return_X_y=True)
X_tr, X_rest, y_tr, y_rest = train_test_split(X / 16, y, train_size=200, stratify=y, random_state=0)
mu, sd = X_tr.mean(), X_tr.std()
X_tr, X_val = (torch.tensor((a - mu) / sd).float() for a in (X_tr, X_rest[:500]))
y_tr, y_val = torch.tensor(y_tr), torch.tensor(y_rest[:500])

model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, 10))
opt = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.05)
loss_fn = nn.CrossEntropyLoss()
best, best_state, patience = float("inf"), None, 0
for epoch in range(80):
    model.train()
    for idx in torch.randperm(len(X_tr)).split(20):
        opt.zero_grad()
        loss_fn(model(X_tr[idx]), y_tr[idx]).backward()
        opt.step()
    model.eval()
    with torch.no_grad():
        tr_loss = loss_fn(model(X_tr), y_tr).item()
        out = model(X_val)
        val_loss = loss_fn(out, y_val).item()
        acc = (out.argmax(1) == y_val).float().mean().item()
    print(f"epoch {epoch} train {tr_loss:.3f} val {val_loss:.3f} acc {acc:.3f}")
    if val_loss < best - 1e-3:
        best, best_state, patience = val_loss, copy.deepcopy(model.state_dict()), 0
    else:
        patience += 1
        if patience == 4:
            break
model.load_state_dict(best_state)
print("best val loss", best)
