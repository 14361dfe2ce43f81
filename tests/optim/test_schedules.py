"""Schedules against torch.optim.lr_scheduler, stepped once a step."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.optim import lr_scheduler

from thalweg.optim import SCHEDULES, plateau_init, plateau_update

SMOOTH = sorted(name for name, s in SCHEDULES.items() if not s.needs)


def torch_factors(make, total):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = make(optimizer)
    factors = []
    for _ in range(total):
        factors.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return np.array(factors)


def warmup_cosine(optimizer, total, warmup):
    rise = round(warmup * total)
    return lr_scheduler.SequentialLR(
        optimizer,
        [
            lr_scheduler.LinearLR(optimizer, 1 / rise, total_iters=rise - 1),
            lr_scheduler.CosineAnnealingLR(optimizer, total - rise),
        ],
        milestones=[rise],
    )


REFERENCES = {
    "constant": lambda o, n, warmup, gamma: lr_scheduler.ConstantLR(o, 1.0),
    "step": lambda o, n, warmup, gamma: lr_scheduler.MultiStepLR(
        o, [math.ceil(n / 3), math.ceil(2 * n / 3)], gamma=gamma
    ),
    "exponential": lambda o, n, warmup, gamma: lr_scheduler.ExponentialLR(o, gamma ** (1 / n)),
    "cosine": lambda o, n, warmup, gamma: lr_scheduler.CosineAnnealingLR(o, n),
    "warmup": lambda o, n, warmup, gamma: lr_scheduler.LinearLR(
        o, 1 / round(warmup * n), total_iters=round(warmup * n) - 1
    ),
    "warmup_cosine": lambda o, n, warmup, gamma: warmup_cosine(o, n, warmup),
    "one_cycle": lambda o, n, warmup, gamma: lr_scheduler.OneCycleLR(
        o,
        max_lr=1.0,
        total_steps=n,
        pct_start=warmup,
        cycle_momentum=False,
    ),
}


@pytest.mark.parametrize("name", SMOOTH)
@pytest.mark.parametrize(("total", "warmup", "gamma"), [(30, 0.3, 0.1), (100, 0.25, 0.5), (47, 0.4, 0.9)])
def test_matches_torch(name, total, warmup, gamma):
    steps = total - 1 if name == "one_cycle" else total  # torch refuses to be stepped past the end of the cycle
    expected = torch_factors(lambda o: REFERENCES[name](o, total, warmup, gamma), steps)
    given = {"warmup": warmup, "schedule_gamma": gamma}
    factors = SCHEDULES[name].factor(np.arange(steps), total, steps_per_epoch=10, **given)
    np.testing.assert_allclose(factors, expected, rtol=1e-9, atol=1e-12)


def test_the_comparison_can_fail():
    expected = torch_factors(lambda o: lr_scheduler.CosineAnnealingLR(o, 31), 30)
    assert not np.allclose(SCHEDULES["cosine"].factor(np.arange(30), 30), expected)


@pytest.mark.parametrize("name", SMOOTH)
@pytest.mark.parametrize("total", [1, 2, 3, 10, 1000])
@pytest.mark.parametrize("warmup", [None, 0.0, 1.0])
def test_conformance(name, total, warmup):
    schedule = SCHEDULES[name]
    assert schedule.name == name
    assert schedule.doc
    assert set(schedule.hyper) <= {"warmup", "schedule_gamma"}
    factors = schedule.factor(np.arange(total), total, warmup=warmup)
    assert factors.dtype == np.float64
    assert factors.shape == (total,)
    assert np.isfinite(factors).all()
    assert (factors >= 0).all()
    assert (factors <= 1 + 1e-12).all()
    one_by_one = [float(schedule.factor(i, total, warmup=warmup)) for i in range(min(total, 10))]
    np.testing.assert_array_equal(factors[:10], one_by_one)


def test_defaults():
    assert SCHEDULES["one_cycle"].factor(29, 100).item() == 1.0
    assert SCHEDULES["warmup"].factor([8, 9], 100).tolist() == [0.9, 1.0]
    assert SCHEDULES["step"].factor([0, 34, 67], 100).tolist() == pytest.approx([1, 0.1, 0.01])


@pytest.mark.parametrize("settings", [{}, {"patience": 2, "cooldown": 3}, {"factor": 0.5, "patience": 0}])
def test_plateau_matches_torch(settings):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = lr_scheduler.ReduceLROnPlateau(optimizer, eps=0.0, min_lr=1e-3, **settings)
    ours = {("schedule_gamma" if k == "factor" else k): v for k, v in settings.items()}
    generator = np.random.default_rng(0)
    losses = np.exp(-np.arange(80) / 5) + 0.2 * generator.random(80)
    losses[30] = math.nan
    state, factors = plateau_init(), set()
    for loss in losses:
        scheduler.step(loss)
        before = state
        state, factor = plateau_update(state, loss, min_factor=1e-3, **ours)
        assert before is not state
        assert factor == state.factor == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)
        factors.add(factor)
    assert len(factors) > 1


def test_plateau_has_no_factor_of_its_own():
    assert SCHEDULES["plateau"].needs == {"metric"}
    with pytest.raises(ValueError, match="plateau_update"):
        SCHEDULES["plateau"].factor(0, 10)
