"""Our doctor."""

from __future__ import annotations

import math
from typing import Any

import torch
from benchmarks.doctor.cases import Case

from thalweg.doctor._proof._score import score


def thalweg(case: Case, seconds: float) -> dict[str, Any]:
    run = case.loop().run()
    found = run.prove(seconds=seconds) if seconds > 0 else run.diagnosis()
    return {
        "findings": [(each.cause, round(each.weight, 3)) for each in found.findings],
        "proven": [each.cause for each in found.findings if any(v.proven for v in each.verdicts)],
        "tried": [each.cause for each in found.findings if each.verdicts],
        "replayed": found.replayed,
        "refused": found.refused,
        "score": _score(run),
        "score without": _score(case.without().run()) if case.fault else None,
    }


def _score(run: Any) -> float | None:
    """Returns the score of the model as the loop left it, on the rows of validation.

    The Brier score; of quantities the squared error as a share of their variance.
    """
    view = run._view
    found = score(run.recording.model, view.held_out, view.kind, view.ends)
    if view.kind == "regression":
        found /= float(torch.cat([each.target for each in view.held_out]).double().var(0, correction=0).mean())
    return found if math.isfinite(found) else None
