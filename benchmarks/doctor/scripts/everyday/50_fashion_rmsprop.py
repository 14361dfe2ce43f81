import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(50)
ACCUM, MICRO = 4, 16
z = np.load("embedded/fashion_mnist_5k_1k.npz")
pool = nn.AvgPool2d(2)
prep = lambda a: pool((torch.tensor(a, dtype=torch.float32)[:, None] / 255 - 0.286) / 0.353)
loader = DataLoader(TensorDataset(prep(z["x_train"][:3200]), torch.tensor(z["y_train"][:3200]).long()), MICRO, shuffle=True, drop_last=True)
xv, yv = prep(z["x_test"]), torch.tensor(z["y_test"]).long()

net = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1, stride=2), nn.ReLU(),
    nn.Flatten(), nn.Dropout(0.2),
    nn.Linear(16 * 49, 48), nn.ReLU(),
    nn.Linear(48, 10),
)
opt = torch.optim.RMSprop(net.parameters(), lr=8e-4, alpha=0.95)
sched = torch.optim.lr_scheduler.ReduceLROnPlateau(opt, mode="max", factor=0.5, patience=1)
ce = nn.CrossEntropyLoss()

for epoch in range(8):
    net.train()
    run, norms = 0.0, []
    for i, (x, y) in enumerate(loader):
        loss = ce(net(x), y) / ACCUM
        loss.backward()
        run += loss.item() * ACCUM
        if (i + 1) % ACCUM == 0:
            norms.append(nn.utils.clip_grad_norm_(net.parameters(), 2.0).item())
            opt.step()
            opt.zero_grad()
    net.eval()
    with torch.no_grad():
        out = net(xv)
        vl, acc = ce(out, yv).item(), (out.argmax(1) == yv).float().mean().item()
    sched.step(acc)
    print(f"epoch {epoch}: train {run / len(loader):.4f} val {vl:.4f} acc {acc:.3f} grad {np.mean(norms):.2f} lr {opt.param_groups[0]['lr']:.1e}")
