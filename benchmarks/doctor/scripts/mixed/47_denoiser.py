# denoising autoencoder, fashion-mnist 14x14
import numpy as np
import torch
import torch.nn as nn

torch.manual_seed(9)
f = np.load('embedded/fashion_mnist_5k_1k.npz')
shrink = lambda a: torch.tensor(a, dtype=torch.float32).view(-1, 1, 28, 28).div(255)
pool = nn.AvgPool2d(2)
train = pool(shrink(f['x_train'])).flatten(1)
valid = pool(shrink(f['x_test'])).flatten(1)
centre = train.mean(0)
train, valid = train - centre, valid - centre
noise = 0.2
noisy_valid = valid + noise * torch.randn_like(valid)

encoder = nn.Sequential(nn.Linear(196, 128), nn.LeakyReLU(), nn.Linear(128, 24))
decoder = nn.Sequential(nn.Linear(24, 128), nn.LeakyReLU(), nn.Linear(128, 196))
criterion = nn.MSELoss()
optimizer = torch.optim.Adam(list(encoder.parameters()) + list(decoder.parameters()), lr=1.5e-3, weight_decay=0.02)

for epoch in range(12):
    order = torch.randperm(len(train))
    total, batches = 0.0, 0
    for i in range(0, len(train), 50):
        clean = train[order[i:i + 50]]
        noisy = clean + noise * torch.randn_like(clean)
        optimizer.zero_grad()
        loss = criterion(decoder(encoder(noisy)), clean)
        loss.backward()
        optimizer.step()
        total += loss.item()
        batches += 1
    with torch.no_grad():
        v = criterion(decoder(encoder(noisy_valid)), valid).item()
    print(f'Epoch [{epoch + 1}/12], Loss: {total / batches:.5f}, Val: {v:.5f} (var {valid.var():.4f})')
