"""Two rings: a problem no straight line can solve."""
import torch
from sklearn.datasets import make_circles
from sklearn.model_selection import train_test_split
from torch import nn

RANDOM_SEED = 42
torch.manual_seed(RANDOM_SEED)

X, y = make_circles(n_samples=1200, noise=0.08, factor=0.6, random_state=RANDOM_SEED)
X = torch.from_numpy(X).type(torch.float)
y = torch.from_numpy(y).type(torch.float)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.25, random_state=RANDOM_SEED)


class CircleModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer_1 = nn.Linear(2, 16)
        self.layer_2 = nn.Linear(16, 16)
        self.layer_3 = nn.Linear(16, 1)

    def forward(self, x):
        x = self.layer_1(x)
        x = self.layer_2(x)
        return self.layer_3(x)


model = CircleModel()
loss_fn = nn.BCEWithLogitsLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.9)


def accuracy_fn(y_true, y_pred):
    return torch.eq(y_true, y_pred).sum().item() / len(y_pred) * 100


epochs = 25
for epoch in range(epochs):
    model.train()
    for idx in torch.randperm(len(X_train)).split(32):
        loss = loss_fn(model(X_train[idx]).squeeze(1), y_train[idx])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    model.eval()
    with torch.inference_mode():
        train_loss = loss_fn(model(X_train).squeeze(1), y_train)
        test_logits = model(X_test).squeeze(1)
        test_loss = loss_fn(test_logits, y_test)
        test_acc = accuracy_fn(y_test, torch.round(torch.sigmoid(test_logits)))
    print(f"Epoch: {epoch} | Loss: {train_loss:.5f} | Test Loss: {test_loss:.5f}, Test Accuracy: {test_acc:.2f}%")
