import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader

torch.manual_seed(0)
mnist = np.load("data/mnist.npz")
train = torch.tensor(mnist["x_train"][:16000].reshape(-1, 784), dtype=torch.float32) / 255
test = torch.tensor(mnist["x_test"][:2000].reshape(-1, 784), dtype=torch.float32) / 255
loader = DataLoader(train, batch_size=128, shuffle=True)


class Autoencoder(nn.Module):
    def __init__(self, latent=24):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, latent))
        self.decoder = nn.Sequential(nn.Linear(latent, 128), nn.ReLU(), nn.Linear(128, 784), nn.Sigmoid())

    def forward(self, x):
        return self.decoder(self.encoder(x))


model = Autoencoder()
criterion = nn.MSELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=6e-3)

num_epochs = 10
for epoch in range(num_epochs):
    model.train()
    train_loss = 0.0
    for img in loader:
        recon = model(img)
        loss = criterion(recon, img)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        train_loss += loss.item() * len(img)
    model.eval()
    with torch.no_grad():
        test_loss = criterion(model(test), test).item()
    print(f"Epoch: {epoch + 1}, train loss: {train_loss / len(train):.5f}, test loss: {test_loss:.5f}")
print("baseline (mean image):", criterion(train.mean(0).expand_as(test), test).item())
