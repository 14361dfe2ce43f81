import torch
from torch import nn
from sklearn.datasets import make_circles
from sklearn.model_selection import train_test_split

torch.manual_seed(42)
X, y = make_circles(1200, noise=0.08, factor=0.5, random_state=42)
X = torch.from_numpy(X).type(torch.float) * 1.5
y = torch.from_numpy(y).type(torch.float)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, random_state=42)


class CircleModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer_1 = nn.Linear(2, 24)
        self.layer_2 = nn.Linear(24, 24)
        self.layer_3 = nn.Linear(24, 1)
        self.relu = nn.ReLU()

    def forward(self, x):
        return self.layer_3(self.layer_2(self.layer_1(x)))


def accuracy_fn(y_true, y_pred):
    return torch.eq(y_true, y_pred).sum().item() / len(y_pred) * 100


model = CircleModel()
loss_fn = nn.BCEWithLogitsLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.005)

for epoch in range(20):
    model.train()
    shuffled = torch.randperm(len(X_train))
    for batch in shuffled.split(40):
        y_logits = model(X_train[batch]).squeeze()
        loss = loss_fn(y_logits, y_train[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    model.eval()
    with torch.inference_mode():
        test_logits = model(X_test).squeeze()
        test_pred = torch.round(torch.sigmoid(test_logits))
        test_loss = loss_fn(test_logits, y_test)
        test_acc = accuracy_fn(y_test, test_pred)
    print(f"Epoch: {epoch} | Loss: {loss:.5f} | Test loss: {test_loss:.5f}, Test acc: {test_acc:.2f}%")
