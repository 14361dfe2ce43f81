"""MNIST read row by row with an LSTM."""
import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

# Hyper-parameters
sequence_length = 28
input_size = 28
hidden_size = 64
num_classes = 10
batch_size = 100
num_epochs = 4
learning_rate = 0.01
torch.manual_seed(0)

mnist = np.load("data/mnist.npz")
train_dataset = TensorDataset(torch.tensor(mnist["x_train"][:15000] / 255.0, dtype=torch.float32),
                              torch.tensor(mnist["y_train"][:15000], dtype=torch.long))
test_dataset = TensorDataset(torch.tensor(mnist["x_test"][:3000] / 255.0, dtype=torch.float32),
                             torch.tensor(mnist["y_test"][:3000], dtype=torch.long))
train_loader = DataLoader(train_dataset, batch_size=batch_size, shuffle=True)
test_loader = DataLoader(test_dataset, batch_size=batch_size, shuffle=False)


class RNN(nn.Module):
    def __init__(self, input_size, hidden_size, num_classes):
        super().__init__()
        self.lstm = nn.LSTM(input_size, hidden_size, batch_first=True)
        self.fc = nn.Linear(hidden_size, num_classes)

    def forward(self, x):
        out, _ = self.lstm(x)
        return self.fc(out[:, -1, :])


model = RNN(input_size, hidden_size, num_classes)
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)

total_step = len(train_loader)
for epoch in range(num_epochs):
    model.train()
    for i, (images, labels) in enumerate(train_loader):
        loss = criterion(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if (i + 1) % 75 == 0:
            print(f"Epoch [{epoch + 1}/{num_epochs}], Step [{i + 1}/{total_step}], Loss: {loss.item():.4f}")

    model.eval()
    with torch.no_grad():
        correct = sum((model(x).argmax(1) == y).sum().item() for x, y in test_loader)
    print(f"Test Accuracy after epoch {epoch + 1}: {100 * correct / len(test_dataset):.2f} %")
