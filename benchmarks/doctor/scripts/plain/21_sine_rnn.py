import numpy as np
import torch
from torch import nn

torch.manual_seed(9)
np.random.seed(9)

# noisy sum of two sines; predict the next value from the last 24
T, tau = 3000, 24
time = np.arange(T)
x = np.sin(0.1 * time) + 0.5 * np.sin(0.031 * time) + np.random.normal(0, 0.1, T)
x = torch.tensor(x, dtype=torch.float32)
windows = x.unfold(0, tau, 1)[:-1].unsqueeze(-1)
targets = x[tau:].unsqueeze(-1)
n_train = 2200
train_X, train_y = windows[:n_train], targets[:n_train]
test_X, test_y = windows[n_train + tau:], targets[n_train + tau:]


class Forecaster(nn.Module):
    def __init__(self, hidden_size=24):
        super().__init__()
        self.gru = nn.GRU(1, hidden_size, batch_first=True)
        self.linear = nn.Linear(hidden_size, 1)

    def forward(self, x):
        out, _ = self.gru(x)
        return self.linear(out[:, -1])


model = Forecaster()
loss_fn = nn.MSELoss()
optimizer = torch.optim.RMSprop(model.parameters(), lr=2e-3)
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=5, gamma=0.3)

for epoch in range(15):
    model.train()
    losses = []
    for idx in torch.randperm(n_train).split(50):
        optimizer.zero_grad()
        loss = loss_fn(model(train_X[idx]), train_y[idx])
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    scheduler.step()
    model.eval()
    with torch.no_grad():
        test_mse = loss_fn(model(test_X), test_y).item()
    print(f"epoch {epoch + 1}: train mse {np.mean(losses):.4f}, test mse {test_mse:.4f}")
print("last-value baseline:", loss_fn(test_X[:, -1], test_y).item())
