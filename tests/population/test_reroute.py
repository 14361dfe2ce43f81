"""Counter-based draws in place of torch's generator, and the layers that a CPU runs in our own form."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from scipy import stats
from torch.func import grad_and_value, vmap

from thalweg.core import derive_key, draw_uniform
from thalweg.population._cpu_layers import convolve_by_lane, pool_fast
from thalweg.population._draws import Draws, signed, torch_uniform, uniform
from thalweg.population._reroute import Reroute

SEEDS = (3, 5, 3)
KEYS = torch.tensor([signed(derive_key(seed, 7)) for seed in SEEDS])


def rerouted(function, *args, key=KEYS[0], stacked=False):
    with Reroute(Draws(key), stacked=stacked):
        return function(*args)


def test_draws_are_those_of_core_on_every_path():
    found = uniform(KEYS, 4, 6, 50)
    for row, seed in zip(found, SEEDS, strict=True):
        assert row.double().tolist() == draw_uniform(derive_key(seed, 7, 4), 56)[6:].tolist()
    assert torch.equal(found, torch_uniform(KEYS, 4, 6, 50))
    assert torch.equal(found, vmap(lambda key: uniform(key, 4, 6, 50))(KEYS))
    assert not torch.equal(found[0], found[1])


def test_draws_of_a_slice_are_those_of_its_rows():
    whole = Draws(KEYS[0], num_rows=6).uniform(0, (6, 2, 5))
    for first, num in ((0, 4), (4, 2)):
        part = Draws(KEYS[0], first=first, num_rows=num)
        assert torch.equal(part.uniform(0, (num, 2, 5)), whole[first : first + num])
        assert torch.equal(part.uniform(0, (num * 2, 5)), whole[first : first + num].reshape(-1, 5))


X = torch.linspace(-2, 2, 3 * 4 * 6 * 5).reshape(3, 4, 6, 5)

CALLS = {
    "dropout": lambda x: F.dropout(x, 0.3),
    "dropout in place": lambda x: F.dropout(x.clone(), 0.3, inplace=True),
    "dropout1d": lambda x: F.dropout1d(x[0], 0.3),
    "dropout2d": lambda x: F.dropout2d(x, 0.3),
    "dropout3d": lambda x: F.dropout3d(x.unsqueeze(0), 0.3),
    "alpha_dropout": lambda x: F.alpha_dropout(x, 0.3, training=True),
    "torch.dropout": lambda x: torch.dropout(x, 0.3, True),
    "rand": lambda x: x + torch.rand(x.shape),
    "rand by numbers": lambda x: x + torch.rand(6, 5, dtype=torch.float32),
    "randn": lambda x: x + torch.randn(*x.shape),
    "rand_like": torch.rand_like,
    "randn_like": lambda x: torch.randn_like(x, dtype=torch.float64),
    "randint": lambda x: x + torch.randint(2, 9, (6, 5)),
    "randint from 0": lambda x: x + torch.randint(9, size=(6, 5)),
    "randint by name": lambda x: x + torch.randint(low=2, high=9, size=(6, 5)),
    "randint_like": lambda x: torch.randint_like(x, 2, 9),
    "randperm": lambda x: x[:, :, torch.randperm(6)],
    "bernoulli": lambda x: torch.bernoulli(torch.sigmoid(x)),
    "bernoulli of one rate": lambda x: torch.bernoulli(x, 0.2),
    "normal": lambda x: torch.normal(x, 0.5),
    "normal of numbers": lambda x: x + torch.normal(0.0, 0.5, (6, 5)),
    "normal_": lambda x: torch.empty_like(x).normal_(1.0, 2.0),
    "uniform_": lambda x: torch.empty_like(x).uniform_(-1, 1),
    "exponential_": lambda x: torch.empty_like(x).exponential_(),
    "bernoulli_": lambda x: torch.empty_like(x).bernoulli_(0.2),
    "gumbel_softmax": lambda x: F.gumbel_softmax(x, 0.7),
    "attention": lambda x: F.scaled_dot_product_attention(x, x, x, dropout_p=0.4),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_call_draws_from_its_key_alone(name):
    call = CALLS[name]
    torch.manual_seed(0)
    state = torch.get_rng_state()
    first, again = rerouted(call, X), rerouted(call, X)
    assert torch.equal(first, again)
    assert not torch.equal(first, rerouted(call, X, key=KEYS[1]))
    assert torch.equal(torch.get_rng_state(), state), "torch's generator moved"
    lanes = vmap(lambda x, key: rerouted(call, x, key=key, stacked=True))(X.expand(3, *X.shape), KEYS)
    torch.testing.assert_close(lanes[0], first)
    assert torch.equal(lanes[0], lanes[2])
    assert not torch.equal(lanes[0], lanes[1])


def test_two_calls_draw_other_numbers():
    first, second = rerouted(lambda: (torch.rand(9), torch.rand(9)))
    assert not torch.equal(first, second)


def test_draws_follow_their_distributions():
    n = 20_000
    samples = {
        "uniform": rerouted(lambda: torch.rand(n)),
        "norm": rerouted(lambda: torch.randn(n, dtype=torch.float64)),
        "expon": rerouted(lambda: torch.empty(n).exponential_()),
    }
    for name, sample in samples.items():
        assert stats.kstest(sample.numpy(), name).pvalue > 0.01, name
    assert stats.kstest(samples["norm"].numpy(), "norm", args=(0.05,)).pvalue < 0.01
    whole = rerouted(lambda: torch.randint(2, 5, (n,))).numpy()
    assert set(whole) == {2, 3, 4}
    assert stats.chisquare(np.bincount(whole)[2:]).pvalue > 0.01
    assert sorted(rerouted(lambda: torch.randperm(50)).tolist()) == list(range(50))


def test_dropout_keeps_the_mean_and_channels_whole():
    ones = torch.ones(200, 40, 3, 3)
    for drop in (F.dropout, F.dropout2d):
        out = rerouted(drop, ones, 0.25)
        assert out.unique().tolist() == [0.0, pytest.approx(1 / 0.75)]
        assert abs(float(out.mean()) - 1) < 0.05
    channels = rerouted(F.dropout2d, ones, 0.25).flatten(2)
    assert bool((channels == channels[..., :1]).all())
    assert rerouted(F.dropout, ones, 1.0).abs().sum() == 0
    assert rerouted(F.dropout, ones, 0.5, False) is ones
    normal = rerouted(lambda: torch.randn(200_000))
    kept = rerouted(lambda: F.alpha_dropout(normal, 0.3, training=True), key=KEYS[1])
    # Klambauer et al., 2017: zero mean and unit variance go through
    assert abs(float(kept.mean())) < 0.02
    assert abs(float(kept.var()) - 1) < 0.02


@pytest.mark.parametrize("options", [{}, {"is_causal": True}, {"scale": 0.3}, {"mask": "bool"}, {"mask": "float"}])
def test_attention_spelled_out_is_torch_own(options):
    draw = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(3, 2, 2, 7, 5, generator=draw, dtype=torch.float64) for _ in range(3))
    options = dict(options)
    kind = options.pop("mask", None)
    if kind is not None:
        mask = torch.rand(7, 7, generator=draw) > 0.3
        mask.fill_diagonal_(True)
        options["attn_mask"] = mask if kind == "bool" else torch.randn(7, 7, generator=draw, dtype=torch.float64)
    expected = F.scaled_dot_product_attention(q, k, v, **options)

    def attend(q, k, v, key):
        with Reroute(Draws(key), stacked=True):
            return F.scaled_dot_product_attention(q, k, v, **options)

    torch.testing.assert_close(vmap(attend)(q, k, v, KEYS), expected)


def test_attention_of_shared_heads_is_torch_own():
    draw = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(3, 2, heads, 7, 5, generator=draw, dtype=torch.float64) for heads in (4, 2, 2))
    expected = F.scaled_dot_product_attention(q, k, v, enable_gqa=True)

    def attend(q, k, v, key):
        with Reroute(Draws(key), stacked=True):
            return F.scaled_dot_product_attention(q, k, v, enable_gqa=True)

    torch.testing.assert_close(vmap(attend)(q, k, v, KEYS), expected)


@pytest.mark.parametrize("shape", [(2, 3, 8, 6), (2, 1, 7, 9), (3, 4, 4)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_max_pooling_is_torch_own_with_ties(shape, dtype):
    draw = torch.Generator().manual_seed(0)
    x = torch.randint(0, 3, shape, generator=draw).to(dtype).requires_grad_()  # few values: many ties
    weight = torch.randn(F.max_pool2d(x, 2).shape, generator=draw, dtype=dtype)
    expected = torch.autograd.grad((F.max_pool2d(x, 2) * weight).sum(), x)[0]
    assert torch.equal(pool_fast(x, 2), F.max_pool2d(x, 2))
    found = torch.autograd.grad((pool_fast(x, 2) * weight).sum(), x)[0]
    assert torch.equal(found, expected)
    stacked = vmap(grad_and_value(lambda x: (pool_fast(x, 2) * weight).sum()))(x.detach().expand(2, *shape))[0]
    assert torch.equal(stacked[1], expected)
    holed = x.detach().clone()
    holed.view(-1)[5] = float("nan")
    assert torch.equal(pool_fast(holed, 2).isnan(), F.max_pool2d(holed, 2).isnan())


@pytest.mark.parametrize("options", [(3,), (2, 1), (2, 2, 1), (2, 2, 0, 1, True)])
def test_other_pooling_is_left_to_torch(options):
    x = torch.linspace(-1, 1, 2 * 7 * 7).reshape(2, 7, 7).sin()
    assert torch.equal(pool_fast(x, *options), F.max_pool2d(x, *options))


@pytest.mark.parametrize("options", [{"padding": 1}, {"stride": 2, "bias": False}, {"groups": 2}, {"padding": "same"}])
def test_convolution_by_lane_is_torch_own(options):
    draw = torch.Generator().manual_seed(0)
    options = dict(options)
    has_bias = options.pop("bias", True)
    x = torch.randn(3, 2, 4, 6, 7, generator=draw, dtype=torch.float64)
    w = torch.randn(3, 6, 4 // options.get("groups", 1), 3, 3, generator=draw, dtype=torch.float64)
    b = torch.randn(3, 6, generator=draw, dtype=torch.float64)

    def loss(convolve):
        def of(params, x):
            out = convolve(x, params[0], params[1] if has_bias else None, **options)
            return (out * out).sum() + params[1].sum()

        return grad_and_value(of)

    found, expected = (vmap(loss(c))((w, b), x) for c in (convolve_by_lane, F.conv2d))
    torch.testing.assert_close(found, expected)
    shared = vmap(lambda w: convolve_by_lane(x[0], w, None, **options))(w)
    torch.testing.assert_close(shared[2], F.conv2d(x[0], w[2], **options))
