"""L2 and decoupled decay: the same under plain SGD, and only there."""

from __future__ import annotations

from thalweg.population import Plan
from thalweg.recipes import Recipe
from thalweg.workflows import study


def test_l2_is_decoupled_decay_under_plain_sgd_only():
    recipe = Recipe(widths=(8,), epochs=6, batch_size=16)
    found = study("weight-decay", "iris", recipe, seeds=3, plan=Plan(threads=1))
    families = found.answer.data["families"]
    assert max(families["plain SGD"]["relative_distance"]) < 1e-5
    assert families["plain SGD"]["same"]
    for family in ("momentum", "Adam"):
        assert min(families[family]["relative_distance"]) > 0.01
        assert not families[family]["same"]
    assert found.answer.headline.startswith("L2 and decoupled decay are the same under plain SGD, they are not under")
    assert sum("differ by rounding" in sentence for sentence in found.answer.findings) == 1
