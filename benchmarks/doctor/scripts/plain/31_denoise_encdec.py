"""Clean noisy digits: an encoder and a decoder trained together."""
import numpy as np
import torch
from torch import nn, optim

torch.manual_seed(16)
arr = np.load("data/mnist.npz")
train_x = torch.from_numpy(arr["x_train"][:10000]).float().flatten(1) / 255
test_x = torch.from_numpy(arr["x_test"][:2000]).float().flatten(1) / 255


class Encoder(nn.Module):
    def __init__(self, code=20):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, code))

    def forward(self, x):
        return self.net(x)


class Decoder(nn.Module):
    def __init__(self, code=20):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(code, 128), nn.ReLU(), nn.Linear(128, 784))

    def forward(self, z):
        return torch.sigmoid(self.net(z))


def add_noise(x, level=0.3):
    return (x + level * torch.randn_like(x)).clamp(0, 1)


encoder, decoder = Encoder(), Decoder()
optimizer = optim.Adam(encoder.parameters(), lr=2e-3)
mse = nn.MSELoss()
noisy_test = add_noise(test_x)

for epoch in range(8):
    encoder.train()
    decoder.train()
    total = 0.0
    for idx in torch.randperm(len(train_x)).split(100):
        clean = train_x[idx]
        out = decoder(encoder(add_noise(clean)))
        loss = mse(out, clean)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(idx)
    encoder.eval()
    decoder.eval()
    with torch.no_grad():
        val = mse(decoder(encoder(noisy_test)), test_x).item()
    print(f"epoch {epoch + 1}: train {total / len(train_x):.5f} test {val:.5f}")
print("error of the noisy images themselves:", round(mse(noisy_test, test_x).item(), 5))
