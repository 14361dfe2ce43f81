"""What is looked for: a module for each kind of cause; importing them registers theirs in `CAUSES`."""

from thalweg.doctor._causes import (
    _batches,
    _decay,
    _fit,
    _hidden,
    _inputs,
    _labels,
    _loss,
    _modes,
    _rates,
    _signal,
    _targets,
    _tokens,
    _trained,
    _tuning,
)
from thalweg.doctor._finding import CAUSES

_MODULES = (
    _batches,
    _decay,
    _fit,
    _hidden,
    _inputs,
    _labels,
    _loss,
    _modes,
    _rates,
    _signal,
    _targets,
    _tokens,
    _trained,
    _tuning,
)
__all__ = ["CAUSES"]
