import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(17)
S = 24
yy, xx = torch.meshgrid(torch.arange(S), torch.arange(S), indexing="ij")


def scenes(n):
    c = torch.rand(n, 2) * (S - 8) + 4
    r = torch.rand(n, 1, 1) * 2 + 1.8
    mask = ((xx - c[:, 0, None, None]) ** 2 + (yy - c[:, 1, None, None]) ** 2 < r ** 2).float()
    c2 = torch.rand(n, 2) * S
    box = ((xx - c2[:, 0, None, None]).abs() + (yy - c2[:, 1, None, None]).abs() < 4).float()
    img = torch.maximum(mask, 0.8 * box) + 0.3 * torch.randn(n, S, S)
    return (img[:, None] - 0.1) / 0.42, mask[:, None]


x_train, m_train = scenes(500)
x_val, m_val = scenes(150)


def conv(i, o):
    return nn.Sequential(nn.Conv2d(i, o, 3, padding=1), nn.BatchNorm2d(o), nn.ReLU())


class TinyUNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.d1, self.d2 = conv(1, 8), conv(8, 16)
        self.mid = conv(16, 16)
        self.up = conv(24, 8)
        self.out = nn.Conv2d(8, 1, 1)

    def forward(self, x):
        a = self.d1(x)
        b = self.mid(self.d2(F.max_pool2d(a, 2)))
        b = F.interpolate(b, scale_factor=2, mode="nearest")
        return self.out(self.up(torch.cat([a, b], 1)))


def dice(logits, m):
    p = torch.sigmoid(logits)
    inter = (p * m).sum((1, 2, 3))
    return (2 * inter + 1) / (p.sum((1, 2, 3)) + m.sum((1, 2, 3)) + 1)


net = TinyUNet()
opt = torch.optim.Adam(net.parameters(), lr=8e-3)
for epoch in range(7):
    net.train()
    for b in torch.randperm(len(x_train)).split(20):
        out = net(x_train[b])
        loss = F.binary_cross_entropy_with_logits(out, m_train[b]) + 1 - dice(out, m_train[b]).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
    net.eval()
    with torch.no_grad():
        out = net(x_val)
        hard = (out > 0).float()
        iou = ((hard * m_val).sum((1, 2, 3)) / torch.maximum(hard, m_val).sum((1, 2, 3))).mean()
    print(f"epoch {epoch} loss {loss.item():.4f} val dice {dice(out, m_val).mean().item():.4f} val IoU {iou.item():.4f}")
