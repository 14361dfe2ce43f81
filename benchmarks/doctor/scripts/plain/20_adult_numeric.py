"""Income prediction from the numeric census columns."""
import numpy as np
import polars as pl
import torch
import torch.nn as nn
from sklearn.preprocessing import StandardScaler
from torch.utils.data import DataLoader, TensorDataset

COLUMNS = ["age", "education_num", "capital_gain", "capital_loss", "hours_per_week"]


def read(path):
    df = pl.read_csv(path)
    married = (df["marital_status"] == "Married-civ-spouse").to_numpy().astype(np.float32)
    x = np.column_stack([df.select(COLUMNS).to_numpy().astype(np.float32), married])
    y = df["income"].str.contains(">50K").to_numpy().astype(np.float32)
    return x, y


def main():
    torch.manual_seed(30)
    x_train, y_train = read("embedded/adult_train.csv.gz")
    x_test, y_test = read("embedded/adult_test.csv.gz")
    scaler = StandardScaler()
    x_train = scaler.fit_transform(x_train)

    train_loader = DataLoader(TensorDataset(torch.tensor(x_train), torch.tensor(y_train)), batch_size=256,
                              shuffle=True)
    x_test, y_test = torch.tensor(x_test), torch.tensor(y_test)

    model = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    loss_fn = nn.BCEWithLogitsLoss()

    for epoch in range(8):
        model.train()
        total = 0.0
        for xb, yb in train_loader:
            optimizer.zero_grad()
            loss = loss_fn(model(xb).squeeze(1), yb)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(yb)
        model.eval()
        with torch.no_grad():
            out = model(x_test).squeeze(1)
            acc = ((out > 0).float() == y_test).float().mean().item()
            test_loss = loss_fn(out, y_test).item()
        print(f"epoch {epoch + 1}: train loss {total / len(y_train):.4f} test loss {test_loss:.4f} acc {acc:.4f}")


if __name__ == "__main__":
    main()
