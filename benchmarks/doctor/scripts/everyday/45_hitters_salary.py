import csv
import numpy as np
import torch
import torch.nn as nn
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

torch.manual_seed(45)

with open("data/regression/hitters.csv") as f:
    players = [row for row in csv.DictReader(f) if row["Salary"] not in ("", "NA")]

numeric = ["AtBat", "Hits", "HmRun", "Runs", "RBI", "Walks", "Years", "CAtBat", "CHits", "CHmRun", "CRuns", "CRBI", "CWalks", "PutOuts", "Assists", "Errors"]
X = np.array([[float(p[c]) for c in numeric] + [p["League"] == "A", p["Division"] == "E"] for p in players])
y = np.array([float(p["Salary"]) for p in players])

X_tr, X_va, y_tr, y_va = train_test_split(X, y, test_size=0.25, random_state=45)
sc = StandardScaler().fit(X_tr)
X_tr = torch.tensor(sc.transform(X_tr), dtype=torch.float32)
X_va = torch.tensor(sc.transform(X_va), dtype=torch.float32)
t_tr = torch.tensor(y_tr, dtype=torch.float32).unsqueeze(1)


class SalaryNet(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.fc1 = nn.Linear(d, 24)
        self.fc2 = nn.Linear(24, 12)
        self.fc3 = nn.Linear(12, 1)
        self.drop = nn.Dropout(0.1)

    def forward(self, x):
        x = self.drop(torch.relu(self.fc1(x)))
        x = torch.relu(self.fc2(x))
        return self.fc3(x)


model = SalaryNet(X_tr.shape[1])
opt = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01)
mse = nn.MSELoss()

for epoch in range(24):
    model.train()
    losses = []
    for b in torch.randperm(len(X_tr)).split(16):
        loss = mse(model(X_tr[b]), t_tr[b])
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
    model.eval()
    with torch.no_grad():
        pred = model(X_va).squeeze(1).numpy()
    r2 = 1 - np.sum((y_va - pred) ** 2) / np.sum((y_va - y_va.mean()) ** 2)
    print(f"epoch {epoch + 1}: loss {np.mean(losses):.4f}  val MAE {np.abs(y_va - pred).mean():.1f}  R2 {r2:.3f}")
