"""Losses against torch.nn.functional, their slopes against autograd, and numba's against torch's."""

from typing import Any

import numba
import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 (torch's own name for it)

from thalweg.core import InputError
from thalweg.tasks import LINKS, LOSSES, Loss, apply_link, per_example, register_loss

REFERENCE = {
    "mse": lambda o, y, p: F.mse_loss(o, y, reduction="none"),
    "mae": lambda o, y, p: F.l1_loss(o, y, reduction="none"),
    "huber": lambda o, y, p: F.huber_loss(o, y, reduction="none", delta=p),
    "bce": lambda o, y, p: F.binary_cross_entropy_with_logits(o, y, reduction="none"),
}
ELEMENTWISE = [name for name, loss in LOSSES.items() if not loss.rowwise]


def draw(*shape, seed=0, scale=3.0):
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def targets_for(name, shape, seed=1):
    y = draw(*shape, seed=seed, scale=1.0)
    return (y > 0).double() if name == "bce" else y


def assert_same(a, b, rtol=1e-12, atol=1e-14):
    np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=rtol, atol=atol)


def test_the_comparison_can_fail():
    with pytest.raises(AssertionError):
        assert_same(draw(3), draw(3) * (1 + 1e-9))


def test_every_elementwise_loss_has_a_reference():
    assert set(ELEMENTWISE) == set(REFERENCE)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=list(LOSSES))
def test_a_loss_is_complete(loss):
    assert loss.link in LINKS
    assert loss.kinds
    assert loss.doc
    assert (loss.value is None) == (loss.slope is None) == loss.rowwise


@pytest.mark.parametrize(
    ("name", "parameter"), [*((name, None) for name in ELEMENTWISE), ("huber", 0.3), ("huber", 2.5)]
)
def test_value_equals_torch(name, parameter):
    o, y = draw(4, 5, 3), targets_for(name, (5, 3))
    p = LOSSES[name].parameter if parameter is None else parameter
    wanted = REFERENCE[name](o, y.expand(4, 5, 3), p).mean(-1)
    assert_same(per_example(name, o, y, parameter=parameter), wanted)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_slope_equals_autograd_of_ours_and_of_torch(name):
    o, y = draw(40, 3).requires_grad_(), targets_for(name, (40, 3))
    loss = LOSSES[name]
    assert loss.value is not None
    assert loss.slope is not None
    slope = loss.slope(o, y, loss.parameter).detach()
    for value in (loss.value, REFERENCE[name]):
        (grad,) = torch.autograd.grad(value(o, y, loss.parameter).sum(), o)
        assert_same(slope, grad)


@pytest.mark.parametrize("name", ["mse", "huber", "bce", "cross_entropy"])
def test_gradcheck(name):
    o = draw(6, 3).requires_grad_()
    y = torch.tensor([0, 1, 2, 2, 1, 0]) if name == "cross_entropy" else targets_for(name, (6, 3))
    assert torch.autograd.gradcheck(lambda o: per_example(name, o, y), (o,))


def test_logistic_gradient_at_zero_is_one_half_less_the_target():
    # with |o| in the formula autodiff would give -y, and a zero-initialised head starts there
    o = torch.zeros(2, 1, requires_grad=True)
    per_example("bce", o, torch.tensor([[0.0], [1.0]])).sum().backward()
    assert o.grad is not None
    assert o.grad.flatten().tolist() == [0.5, -0.5]


@pytest.mark.parametrize("size", [1e-30, 40.0, 1e4, 1e30])
def test_logistic_is_stable_at_large_logits(size):
    o = torch.tensor([[size], [-size]], requires_grad=True)
    y = torch.tensor([[1.0], [1.0]])
    value = per_example("bce", o, y)
    assert_same(value.detach(), F.binary_cross_entropy_with_logits(o, y, reduction="none")[:, 0].detach(), 1e-6)
    value.sum().backward()
    assert o.grad is not None
    assert torch.isfinite(o.grad).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("part", ["value", "slope"])
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_numba_compiles_the_same_function(name, part, dtype):
    loss = LOSSES[name]
    njit: Any = numba.njit
    function = njit(getattr(loss, part))

    @njit
    def over_all(o, y, p):
        out = np.empty_like(o)
        for i in range(o.size):
            out[i] = function(o[i], y[i], p)
        return out

    o = np.concatenate([draw(200).numpy(), [0.0, 1.0, -1.0, 50.0, -50.0]]).astype(dtype)
    y = np.concatenate([targets_for(name, (200,)).numpy(), [1.0, 0.0, 1.0, 1.0, 0.0]]).astype(dtype)
    p = dtype(loss.parameter or 0.0)
    wanted = getattr(loss, part)(torch.from_numpy(o), torch.from_numpy(y), float(p))
    tolerance = 1e-6 if dtype == np.float32 else 1e-14
    assert_same(over_all(o, y, p), wanted, rtol=tolerance, atol=tolerance)
    assert [str(s.return_type) for s in function.nopython_signatures] == [np.dtype(dtype).name]


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_cross_entropy_equals_torch_with_smoothing(smoothing):
    o, y = draw(4, 7, 5), torch.tensor([0, 1, 2, 3, 4, 0, 1])
    wanted = torch.stack([F.cross_entropy(m, y, reduction="none", label_smoothing=smoothing) for m in o])
    assert_same(per_example("cross_entropy", o, y, label_smoothing=smoothing), wanted)


def test_logistic_smoothing_moves_targets_towards_one_half():
    o, y = draw(7, 3), targets_for("bce", (7, 3))
    wanted = F.binary_cross_entropy_with_logits(o, y * 0.8 + 0.1, reduction="none").mean(-1)
    assert_same(per_example("bce", o, y, label_smoothing=0.2), wanted)


@pytest.mark.parametrize("name", ["mse", "mae", "huber"])
def test_classes_enter_one_hot(name):
    o, y = draw(2, 4, 3), torch.tensor([2, 0, 1, 1])
    assert_same(per_example(name, o, y), per_example(name, o, F.one_hot(y, 3).double()))


@pytest.mark.parametrize("name", LOSSES)
def test_stacked_and_vmapped_equal_a_loop(name):
    o = draw(4, 6, 3)
    y = torch.tensor([0, 1, 2, 2, 1, 0]) if name == "cross_entropy" else targets_for(name, (6, 3))
    loop = torch.stack([per_example(name, m, y) for m in o])
    assert_same(per_example(name, o, y), loop)
    assert_same(torch.func.vmap(lambda m: per_example(name, m, y))(o), loop)
    if name in ("mse", "cross_entropy"):
        codes = torch.tensor([0, 1, 2, 2, 1, 0])
        assert_same(torch.func.vmap(lambda m: per_example(name, m, codes))(o), per_example(name, o, codes))


@pytest.mark.parametrize(
    ("name", "output", "target", "message"),
    [
        ("mse", torch.zeros(4, 1), torch.zeros(4), r"Numbers need one column for each output: y\[:, None\]"),
        ("bce", torch.zeros(4, 1), torch.zeros(4, dtype=torch.long), r"numbers \(B, 1\) beside one output"),
        ("cross_entropy", torch.zeros(4, 3), torch.zeros(4, 3), "integer classes"),
        ("cross_entropy", torch.zeros(4, 3), torch.zeros(5, dtype=torch.long), "must be"),
        ("mse", torch.zeros(4, 3), torch.zeros(4, 2), "must be"),
        ("msse", torch.zeros(4, 3), torch.zeros(4, 3), "Did you mean 'mse'"),
    ],
)
def test_misfits_are_refused(name, output, target, message):
    with pytest.raises(InputError, match=message):
        per_example(name, output, target)


def test_smoothing_without_probabilities_is_refused():
    with pytest.raises(InputError, match="label_smoothing must be 0 with the loss 'mse'"):
        per_example("mse", torch.zeros(1, 2), torch.zeros(1, 2), label_smoothing=0.1)


def test_links():
    o = draw(2, 5, 3).numpy()
    assert apply_link("identity", o) is o
    assert_same(apply_link("sigmoid", o), torch.from_numpy(o).sigmoid())
    assert_same(apply_link("softmax", o), torch.from_numpy(o).softmax(-1))
    assert apply_link("softmax", o.astype(np.float32)).dtype == np.float32
    with pytest.raises(InputError, match="Did you mean 'softmax'"):
        apply_link("softmx", o)


def test_registering_enrols():
    extra = Loss(name="extra", doc="o", kinds=("regression",), link="identity", value=None, slope=None)
    try:
        assert LOSSES[register_loss(extra).name] is extra
    finally:
        del LOSSES["extra"]
