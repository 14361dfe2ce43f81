"""What is looked for: a module for each kind of cause; importing them registers theirs in `CAUSES`."""

from thalweg.doctor._causes import (
    _batches,
    _fit,
    _hidden,
    _inputs,
    _labels,
    _loss,
    _modes,
    _optimizer,
    _signal,
    _tokens,
    _tuning,
)
from thalweg.doctor._finding import CAUSES

_MODULES = (_batches, _fit, _hidden, _inputs, _labels, _loss, _modes, _optimizer, _signal, _tokens, _tuning)
__all__ = ["CAUSES"]
