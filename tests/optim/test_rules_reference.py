"""Rules against torch.optim, schedulefree, closed forms and literal transcriptions of the papers."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from thalweg.optim import RULES, adapt_scale, draw_proposals, orthogonalize

NUM_STEPS = 50
SHAPES = {"weight": (4, 3), "bias": (4,)}


def start():
    generator = torch.Generator().manual_seed(0)
    return {k: torch.randn(s, generator=generator, dtype=torch.float64) for k, s in SHAPES.items()}


def all_grads():
    generator = torch.Generator().manual_seed(1)
    return [
        {k: torch.randn(s, generator=generator, dtype=torch.float64) for k, s in SHAPES.items()}
        for _ in range(NUM_STEPS)
    ]


def assert_same_path(name, hyper, make_reference, grads=None, rtol=1e-12):
    """Steps the rule and the reference side by side and compares after each step."""
    rule, params = RULES[name], start()
    leaves = {k: w.clone().requires_grad_() for k, w in params.items()}
    reference = make_reference(list(leaves.values()))
    state = rule.init(params)
    for step, grad in enumerate(grads or all_grads()):
        for k, leaf in leaves.items():
            leaf.grad = grad[k].clone()
        reference.step()
        params, state = rule.step(params, grad, state, hyper)
        for k, leaf in leaves.items():
            torch.testing.assert_close(
                params[k], leaf.detach(), rtol=rtol, atol=1e-13, msg=lambda m, s=step: f"step {s}: {m}"
            )
    return params, state, leaves, reference


CASES = {
    "sgd": ([{"lr": 0.1}, {"lr": 1.3}], lambda p, h: torch.optim.SGD(p, **h)),
    "momentum": (
        [{"lr": 0.1, "momentum": 0.9}, {"lr": 0.02, "momentum": 0.0}, {"lr": 0.5, "momentum": 0.5}],
        lambda p, h: torch.optim.SGD(p, **h),
    ),
    "nesterov": (
        [{"lr": 0.1, "momentum": 0.9}, {"lr": 0.5, "momentum": 0.3}],
        lambda p, h: torch.optim.SGD(p, nesterov=True, **h),
    ),
    "rmsprop": (
        [{"lr": 0.01, "rho": 0.99, "eps": 1e-8}, {"lr": 0.3, "rho": 0.5, "eps": 1e-3}],
        lambda p, h: torch.optim.RMSprop(p, alpha=h.pop("rho"), **h),
    ),
    "adagrad": (
        [{"lr": 0.01, "eps": 1e-10}, {"lr": 1.0, "eps": 1e-2}],
        lambda p, h: torch.optim.Adagrad(p, **h),
    ),
    "adam": (
        [
            {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8},
            {"lr": 0.3, "beta1": 0.0, "beta2": 0.9, "eps": 1e-3},
        ],
        lambda p, h: torch.optim.Adam(p, betas=(h.pop("beta1"), h.pop("beta2")), **h),
    ),
    "adamw": (
        [
            {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8},
            {"lr": 0.3, "beta1": 0.5, "beta2": 0.9, "eps": 1e-3},
        ],
        lambda p, h: torch.optim.AdamW(p, betas=(h.pop("beta1"), h.pop("beta2")), **h),
    ),
}


@pytest.mark.parametrize("weight_decay", [0.0, 0.07])
@pytest.mark.parametrize(("name", "case"), [(n, i) for n, (hypers, _) in CASES.items() for i in range(len(hypers))])
def test_matches_torch(name, case, weight_decay):
    hypers, make = CASES[name]
    hyper = {**hypers[case], "weight_decay": weight_decay}
    assert set(hyper) == set(RULES[name].hyper)
    assert_same_path(name, hyper, lambda p: make(p, dict(hyper)))


def test_the_comparison_can_fail():
    hyper = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.0}
    with pytest.raises(AssertionError):
        assert_same_path("nesterov", hyper, lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9))


def test_heavy_ball_is_momentum_at_a_constant_lr():
    hyper = {"lr": 0.1, "momentum": 0.8, "weight_decay": 0.02}
    assert_same_path(
        "heavy_ball", hyper, lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.8, weight_decay=0.02), rtol=1e-10
    )


def test_sgdw_is_momentum_with_its_decay_beside_the_step():
    class Decoupled(torch.optim.SGD):
        @torch.no_grad()
        def step(self, closure=None):
            for group in self.param_groups:
                for w in group["params"]:
                    w.mul_(1 - group["lr"] * 0.07)
            return super().step(closure)

    hyper = {"lr": 0.1, "momentum": 0.8, "weight_decay": 0.07}
    assert_same_path("sgdw", hyper, lambda p: Decoupled(p, lr=0.1, momentum=0.8))


@pytest.mark.parametrize(("lr", "momentum"), [(0.1, 0.9), (0.5, 0.2), (1.2, 0.4)])
def test_heavy_ball_on_a_quadratic_matches_the_closed_form(lr, momentum):
    # f = h w^2 / 2: w(t+1) = (1 + m - lr h) w(t) - m w(t-1), so w(t) is a combination of the roots' powers
    curvature, w0 = 1.7, 2.0
    r1, r2 = np.roots([1.0, -(1 + momentum - lr * curvature), momentum]).astype(complex)
    w1 = w0 - lr * curvature * w0
    a, b = np.linalg.solve(np.array([[1, 1], [r1, r2]]), np.array([w0, w1]))
    rule = RULES["heavy_ball"]
    params = {"w": torch.tensor([w0], dtype=torch.float64)}
    state = rule.init(params)
    hyper = {"lr": lr, "momentum": momentum, "weight_decay": 0.0}
    for t in range(1, 41):
        params, state = rule.step(params, {"w": curvature * params["w"]}, state, hyper)
        expected = (a * r1**t + b * r2**t).real
        np.testing.assert_allclose(params["w"].item(), expected, rtol=1e-9, atol=1e-12)


class LiteralLion:
    """Algorithm 2 of Chen et al., line by line."""

    def __init__(self, leaves, lr, beta1, beta2, weight_decay):
        self.leaves, self.hyper = leaves, (lr, beta1, beta2, weight_decay)
        self.m = [torch.zeros_like(w) for w in leaves]

    @torch.no_grad()
    def step(self):
        lr, beta1, beta2, weight_decay = self.hyper
        for i, w in enumerate(self.leaves):
            c = beta1 * self.m[i] + (1 - beta1) * w.grad
            w -= lr * (c.sign() + weight_decay * w)
            self.m[i] = beta2 * self.m[i] + (1 - beta2) * w.grad


@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
@pytest.mark.parametrize(("beta1", "beta2"), [(0.9, 0.99), (0.5, 0.8)])
def test_lion_matches_its_algorithm(weight_decay, beta1, beta2):
    hyper = {"lr": 0.01, "beta1": beta1, "beta2": beta2, "weight_decay": weight_decay}
    assert_same_path("lion", hyper, lambda p: LiteralLion(p, **hyper))


class LiteralScheduleFree:
    """Algorithm 1 of Defazio et al. with x, y and z all kept; weight decay at y."""

    def __init__(self, leaves, lr, beta1, beta2, eps, weight_decay):
        self.leaves, self.hyper, self.t = leaves, (lr, beta1, beta2, eps, weight_decay), 0
        self.x = [w.detach().clone() for w in leaves]
        self.z = [w.detach().clone() for w in leaves]
        self.v = [torch.zeros_like(w) for w in leaves]

    @torch.no_grad()
    def step(self):
        lr, beta1, beta2, eps, weight_decay = self.hyper
        self.t += 1
        for i, y in enumerate(self.leaves):
            self.v[i] = beta2 * self.v[i] + (1 - beta2) * y.grad**2
            corrected = self.v[i] / (1 - beta2**self.t)
            self.z[i] = self.z[i] - lr * y.grad / (corrected.sqrt() + eps) - lr * weight_decay * y
            self.x[i] = (1 - 1 / self.t) * self.x[i] + self.z[i] / self.t
            y.copy_((1 - beta1) * self.z[i] + beta1 * self.x[i])


SCHEDULE_FREE_HYPERS = [
    {"lr": 2.5e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8},
    {"lr": 0.2, "beta1": 0.95, "beta2": 0.9, "eps": 1e-3},
]


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("hyper", SCHEDULE_FREE_HYPERS)
def test_schedule_free_matches_its_algorithm(hyper, weight_decay):
    hyper = {**hyper, "weight_decay": weight_decay}
    params, state, _, reference = assert_same_path(
        "schedule_free_adamw", hyper, lambda p: LiteralScheduleFree(p, **hyper)
    )
    predicted = RULES["schedule_free_adamw"].eval_params(params, state, hyper)
    for mine, x in zip(predicted.values(), reference.x, strict=True):
        torch.testing.assert_close(mine, x, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("hyper", SCHEDULE_FREE_HYPERS)
def test_schedule_free_matches_its_package(hyper, weight_decay):
    schedulefree = pytest.importorskip("schedulefree")

    def make(leaves):
        optimizer = schedulefree.AdamWScheduleFree(
            leaves,
            lr=hyper["lr"],
            betas=(hyper["beta1"], hyper["beta2"]),
            eps=hyper["eps"],
            weight_decay=weight_decay,
        )
        optimizer.train()
        return optimizer

    hyper = {**hyper, "weight_decay": weight_decay}
    params, state, leaves, reference = assert_same_path("schedule_free_adamw", hyper, make, rtol=1e-11)
    predicted = RULES["schedule_free_adamw"].eval_params(params, state, hyper)
    reference.eval()
    for k, leaf in leaves.items():
        torch.testing.assert_close(predicted[k], leaf.detach(), rtol=1e-11, atol=1e-13)


MUON_HYPER = {"lr": 0.02, "momentum": 0.95, "beta1": 0.9, "beta2": 0.99, "eps": 1e-8, "weight_decay": 0.1}
MUON_SHAPES = {
    "linear1.weight": (12, 7),
    "linear1.bias": (12,),
    "linear2.weight": (5, 12),
    "output.weight": (3, 5),
}


def muon_run(num_steps):
    generator = torch.Generator().manual_seed(2)
    params = {k: torch.randn(s, generator=generator, dtype=torch.float64) for k, s in MUON_SHAPES.items()}
    grads = [
        {k: torch.randn(s, generator=generator, dtype=torch.float64) for k, s in MUON_SHAPES.items()}
        for _ in range(num_steps)
    ]
    first = dict(params)
    rule = RULES["muon"]
    state = rule.init(params)
    for g in grads:
        params, state = rule.step(params, g, state, MUON_HYPER)
    return first, grads, params


def test_orthogonalize_follows_its_polynomial_on_the_singular_values():
    matrix = torch.randn(9, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    u, s, vt = torch.linalg.svd(matrix, full_matrices=False)
    s = s / matrix.norm()
    for _ in range(5):
        s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
    torch.testing.assert_close(orthogonalize(matrix), u @ torch.diag(s) @ vt, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(orthogonalize(matrix.T), orthogonalize(matrix).T, rtol=1e-12, atol=1e-14)
    assert bool(((s > 0.5) & (s < 1.3)).all())


def test_muon_matches_its_formula_in_float64():
    first, grads, params = muon_run(10)
    for name in ("linear1.weight", "linear2.weight"):
        w, m = first[name], torch.zeros(MUON_SHAPES[name], dtype=torch.float64)
        for g in grads:
            m = m + 0.05 * (g[name] - m)
            update = g[name] + 0.95 * (m - g[name])
            x = update / update.norm()
            for _ in range(5):
                a = x @ x.T
                x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
            w = w - 0.02 * 0.1 * w - 0.02 * 0.2 * math.sqrt(max(w.shape)) * x
        torch.testing.assert_close(params[name], w, rtol=1e-10, atol=1e-12)


def test_muon_matches_torch_up_to_its_bfloat16():
    if not hasattr(torch.optim, "Muon"):
        pytest.skip("this torch has no Muon")
    first, grads, params = muon_run(1)
    for name in ("linear1.weight", "linear2.weight"):
        leaf = first[name].clone().requires_grad_()
        leaf.grad = grads[0][name].clone()
        torch.optim.Muon([leaf], lr=0.02, weight_decay=0.1, momentum=0.95, adjust_lr_fn="match_rms_adamw").step()
        moved, mine = leaf.detach() - first[name], params[name] - first[name]
        assert float((moved - mine).norm() / mine.norm()) < 0.03


def test_muon_gives_the_rest_to_adamw():
    first, grads, params = muon_run(10)
    for name in ("linear1.bias", "output.weight"):
        leaf = first[name].clone().requires_grad_()
        reference = torch.optim.AdamW([leaf], lr=0.02, betas=(0.9, 0.99), eps=1e-8, weight_decay=0.1)
        for g in grads:
            leaf.grad = g[name].clone()
            reference.step()
        torch.testing.assert_close(params[name], leaf.detach(), rtol=1e-12, atol=1e-13)


def test_muon_flattens_a_convolution():
    rule = RULES["muon"]
    generator = torch.Generator().manual_seed(0)
    kernel = torch.randn(4, 2, 3, 3, generator=generator, dtype=torch.float64)
    grad = torch.randn(4, 2, 3, 3, generator=generator, dtype=torch.float64)
    last = torch.randn(2, 4, generator=generator, dtype=torch.float64)
    results = []
    for shape in ((4, 2, 3, 3), (4, 18)):
        params = {"conv1.weight": kernel.reshape(shape), "output.weight": last}
        grads = {"conv1.weight": grad.reshape(shape), "output.weight": last}
        results.append(rule.step(params, grads, rule.init(params), MUON_HYPER)[0]["conv1.weight"])
    torch.testing.assert_close(results[0].reshape(4, 18), results[1], rtol=0, atol=0)


def run_random_search(seed, num_steps=30, proposals=6):
    rule = RULES["random_search"]
    params = {"a": torch.tensor([2.0, -1.0, 0.5]), "b": torch.tensor([[1.0]])}
    state, losses, scales = rule.init(params), [], []
    for _ in range(num_steps):
        params, state = rule.step(
            params,
            {},
            state,
            {"lr": 0.5, "proposals": proposals, "seed": seed},
            evaluate=lambda p: sum((w * w).flatten(1).sum(1) for w in p.values()),
        )
        losses.append(sum(float((w * w).sum()) for w in params.values()))
        scales.append(state["scale"])
    return losses, scales


def test_random_search_never_rises_and_repeats():
    losses, scales = run_random_search(0)
    assert all(b <= a for a, b in itertools.pairwise(losses))
    assert losses[-1] < 0.05
    assert run_random_search(0) == (losses, scales)
    assert run_random_search(1) != (losses, scales)


def test_random_search_ignores_proposals_that_fail():
    rule = RULES["random_search"]
    params = {"w": torch.tensor([1.0])}
    hyper = {"lr": 0.5, "proposals": 3, "seed": 0}
    new, state = rule.step(
        params, {}, rule.init(params), hyper, evaluate=lambda p: torch.tensor([1.0, math.nan, math.nan, 2.0])
    )
    torch.testing.assert_close(new["w"], params["w"], rtol=0, atol=0)
    assert state["scale"] < 0.5


def test_random_search_needs_an_objective():
    rule = RULES["random_search"]
    with pytest.raises(ValueError, match="evaluate must be given"):
        rule.step({}, {}, rule.init({}), {"lr": 1.0, "proposals": 1, "seed": 0})


def test_scale_stays_at_one_success_in_five():
    assert adapt_scale(0.3, 2, 10, 7) == pytest.approx(0.3)
    assert adapt_scale(0.3, 3, 10, 7) > 0.3 > adapt_scale(0.3, 1, 10, 7)


def test_proposals_are_standard_normal():
    from scipy import stats

    draws = draw_proposals(5, 1, 200, 50).ravel()
    assert stats.kstest(draws, "norm").pvalue > 1e-3
    assert abs(np.corrcoef(draws[:-1], draws[1:])[0, 1]) < 0.04
