"""The tools: each returns the causes that it names, the likeliest first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.doctor.cases import Case


def thalweg(case: Case, seconds: float) -> dict[str, Any]:
    run = case.loop().run()
    found = run.prove(seconds=seconds) if seconds > 0 else run.diagnosis()
    return {
        "findings": [(each.cause, round(each.weight, 3)) for each in found.findings],
        "proven": [each.cause for each in found.findings if any(v.proven for v in each.verdicts)],
        "tried": [each.cause for each in found.findings if each.verdicts],
        "replayed": found.replayed,
        "refused": found.refused,
    }


TOOLS: dict[str, Callable[[Case, float], dict[str, Any]]] = {"thalweg": thalweg}
