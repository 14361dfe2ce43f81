"""The tools: each returns the causes that it names, the likeliest first."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from benchmarks.doctor.cases import Case
from benchmarks.doctor.rivals._gradsnitch import gradsnitch
from benchmarks.doctor.rivals._guardtower import guardtower
from benchmarks.doctor.rivals._preflight_ml import preflight_ml
from benchmarks.doctor.rivals._sk_autod import sk_autod
from benchmarks.doctor.rivals._thalweg import thalweg
from benchmarks.doctor.rivals._thermoclaw import thermoclaw
from benchmarks.doctor.rivals._torch_audit import torch_audit
from benchmarks.doctor.rivals._torch_surgeon import torch_surgeon
from benchmarks.doctor.rivals._torchdiag import torchdiag
from benchmarks.doctor.rivals._torchmortem import torchmortem
from benchmarks.doctor.rivals._torchtest2 import torchtest2
from benchmarks.doctor.rivals._training_doctor import training_doctor
from benchmarks.doctor.rivals._trainproof import trainproof

#: names are those of the packages
TOOLS: dict[str, Callable[[Case, float], dict[str, Any]]] = {
    "thalweg": thalweg,
    "torchmortem": torchmortem,
    "torch-audit": torch_audit,
    "torchtest2": torchtest2,
    "sk-autod": sk_autod,
    "gradsnitch": gradsnitch,
    "training-doctor": training_doctor,
    "preflight-ml": preflight_ml,
    "guardtower": guardtower,
    "thermoclaw": thermoclaw,
    "trainproof": trainproof,
    "torch-surgeon": torch_surgeon,
    "torchdiag": torchdiag,
}
#: where a module is not called as its package
_MODULES = {"preflight-ml": "preflight"}


def installed(tool: str) -> bool:
    """Returns whether a tool is there."""
    return find_spec(_MODULES.get(tool, tool.replace("-", "_"))) is not None
