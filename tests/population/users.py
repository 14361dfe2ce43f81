"""Modules as users write them: what vmap can run, and what goes to the loop."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812


class Transformer(nn.Module):
    """A block with dropout in attention and in the feed-forward part; a row is a sequence of tokens."""

    def __init__(self, input_shape, output_size, dim=16):
        super().__init__()
        self.length = 4
        self.embed = nn.Linear(input_shape[0] // self.length, dim)
        self.attention = nn.MultiheadAttention(dim, 4, dropout=0.2, batch_first=True)
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.feed = nn.Sequential(nn.Linear(dim, 24), nn.GELU(), nn.Dropout(0.1), nn.Linear(24, dim))
        self.head = nn.Linear(dim, output_size)

    def forward(self, x):
        x = self.embed(x.reshape(len(x), self.length, -1))
        y = self.norm1(x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        return self.head((x + self.feed(self.norm2(x))).mean(1))


class ByHand(nn.Module):
    """Attention spelled out: causal, with the fused function and dropout."""

    def __init__(self, input_shape, output_size):
        super().__init__()
        self.qkv = nn.Linear(input_shape[0] // 4, 30)
        self.head = nn.Linear(10, output_size)

    def forward(self, x):
        q, k, v = self.qkv(x.reshape(len(x), 4, -1)).reshape(len(x), 4, 3, 2, 5).permute(2, 0, 3, 1, 4)
        dropout = 0.3 if self.training else 0.0
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, dropout_p=dropout)
        return self.head(y.movedim(1, 2).reshape(len(x), 4, 10).mean(1))


class Norms(nn.Module):
    """A CNN with batch norm and dropout of channels; rows are images of 4 x 4."""

    def __init__(self, input_shape, output_size):
        super().__init__()
        self.conv1, self.norm = nn.Conv2d(1, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6)
        self.conv2 = nn.Conv2d(6, 5, 3, stride=2, padding=1)
        self.drop = nn.Dropout2d(0.2)
        self.head = nn.Linear(5 * 4, output_size)

    def forward(self, x):
        x = F.relu(self.norm(self.conv1(x.reshape(len(x), 1, 4, 4))))
        return self.head(self.drop(torch.tanh(self.conv2(x))).flatten(1))


class Noisy(nn.Module):
    """Draws in every way that is rerouted, in training and in evaluation."""

    def __init__(self, input_shape, output_size):
        super().__init__()
        self.first, self.last = nn.Linear(input_shape[0], 12), nn.Linear(12, output_size)

    def forward(self, x):
        h = F.elu(self.first(x + 0.1 * torch.randn(x.shape, dtype=x.dtype)))
        h = h * torch.bernoulli(torch.full_like(h, 0.9)) + 0.01 * torch.randn_like(h) * torch.rand(1, dtype=x.dtype)
        h = h + 0.1 * h[torch.randperm(len(h))] + 0.01 * torch.empty_like(h).uniform_(-1, 1)
        return self.last(F.alpha_dropout(h, 0.1, self.training)) + F.gumbel_softmax(self.last(h), 2.0)


class Frozen(nn.Module):
    """A layer that does not train, and a parameter that nothing uses."""

    def __init__(self, input_shape, output_size):
        super().__init__()
        self.first, self.last = nn.Linear(input_shape[0], 8), nn.Linear(8, output_size)
        self.spare = nn.Parameter(torch.ones(3))
        self.first.weight.requires_grad_(False)

    def forward(self, x):
        return self.last(torch.tanh(self.first(x)))


class Recurrent(nn.Module):
    """An LSTM with its own dropout, which only torch's generator can draw."""

    def __init__(self, input_shape, output_size):
        super().__init__()
        self.lstm = nn.LSTM(input_shape[0] // 4, 6, num_layers=2, dropout=0.2, batch_first=True)
        self.head = nn.Linear(6, output_size)

    def forward(self, x):
        return self.head(self.lstm(x.reshape(len(x), 4, -1))[0][:, -1])


class Branching(nn.Module):
    """Control flow by data."""

    def __init__(self, input_shape, output_size):
        super().__init__()
        self.a, self.b = nn.Linear(input_shape[0], output_size), nn.Linear(input_shape[0], output_size)

    def forward(self, x):
        return self.a(x) if x.sum() > 0 else self.b(x)


class Averaging(nn.Module):
    """Batch norm with a cumulative average, which reads its counter on the host."""

    def __init__(self, input_shape, output_size):
        super().__init__()
        self.norm = nn.BatchNorm1d(input_shape[0], momentum=None)
        self.head = nn.Linear(input_shape[0], output_size)

    def forward(self, x):
        return self.head(self.norm(x))


class Hungry(nn.Module):
    """Runs out of memory above 4 rows while it trains."""

    def __init__(self, input_shape, output_size):
        super().__init__()
        self.first, self.last = nn.Linear(input_shape[0], 8), nn.Linear(8, output_size)
        self.drop = nn.Dropout(0.3)

    def forward(self, x):
        if self.training and len(x) > 4:
            raise torch.OutOfMemoryError("too many rows")
        return self.last(self.drop(torch.tanh(self.first(x))))


class Modest(Hungry):
    """The same with room enough."""

    def forward(self, x):
        return self.last(self.drop(torch.tanh(self.first(x))))


class HungryNorm(Hungry):
    """Out of memory with batch statistics."""

    def __init__(self, input_shape, output_size):
        super().__init__(input_shape, output_size)
        self.drop = nn.BatchNorm1d(8)


class Counting(nn.Module):
    """Changes with every call, by a number that is no buffer."""

    def __init__(self, input_shape, output_size):
        super().__init__()
        self.head, self.calls = nn.Linear(input_shape[0], output_size), 0

    def forward(self, x):
        self.calls += 1
        return self.head(x) * self.calls


class Ruleless(nn.Module):
    """An operator that has no rule for vmap."""

    def __init__(self, input_shape, output_size):
        super().__init__()
        self.head = nn.Bilinear(input_shape[0], input_shape[0], output_size)

    def forward(self, x):
        return self.head(x, x)


class Einsum(nn.Module):
    """Products of odd size that nothing pads."""

    def __init__(self, input_shape, output_size):
        super().__init__()
        self.a = nn.Parameter(torch.linspace(-1, 1, input_shape[0] * 37).sin().reshape(-1, 37))
        self.b = nn.Parameter(torch.linspace(-1, 1, 37 * output_size).cos().reshape(37, -1) / 6)

    def forward(self, x):
        return torch.einsum("bk,ko->bo", torch.tanh(torch.einsum("bi,ik->bk", x, self.a)), self.b)
