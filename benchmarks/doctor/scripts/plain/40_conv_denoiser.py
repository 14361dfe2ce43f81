"""Convolutional denoising autoencoder on Fashion-MNIST."""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(77)
BATCH_SIZE, EPOCHS, LR, NOISE = 64, 5, 5e-3, 0.25


class ConvDenoiser(nn.Module):
    def __init__(self):
        super().__init__()
        self.down1 = nn.Conv2d(1, 12, 3, stride=2, padding=1)
        self.down2 = nn.Conv2d(12, 24, 3, stride=2, padding=1)
        self.up1 = nn.ConvTranspose2d(24, 12, 4, stride=2, padding=1)
        self.up2 = nn.ConvTranspose2d(12, 1, 4, stride=2, padding=1)

    def forward(self, x):
        h = F.relu(self.down1(x))
        h = F.relu(self.down2(h))
        h = F.relu(self.up1(h))
        return self.up2(h)


def corrupt(x):
    return x + NOISE * torch.randn_like(x)


archive = np.load("data/fashion_mnist.npz")
x_train = torch.from_numpy(archive["x_train"][:8000]).unsqueeze(1).float() / 255
x_valid = torch.from_numpy(archive["x_test"][:1000]).unsqueeze(1).float() / 255
valid_noisy = corrupt(x_valid)

model = ConvDenoiser()
optimizer = torch.optim.Adam(model.parameters(), lr=LR)
print("noisy input MAE: %.4f" % F.l1_loss(valid_noisy, x_valid).item())
for epoch in range(EPOCHS):
    model.train()
    order = torch.randperm(len(x_train))
    running = 0.0
    for start in range(0, len(order), BATCH_SIZE):
        clean = x_train[order[start:start + BATCH_SIZE]]
        loss = F.l1_loss(model(corrupt(clean)), clean)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        running += loss.item() * len(clean)
    model.eval()
    with torch.no_grad():
        valid = F.l1_loss(model(valid_noisy), x_valid).item()
    print("epoch %d train MAE %.4f valid MAE %.4f" % (epoch + 1, running / len(x_train), valid))
