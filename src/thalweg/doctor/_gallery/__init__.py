"""Loops with one fault each, and healthy ones: for teaching, and to see whether the doctor names the fault."""

from thalweg.doctor._gallery._faults import FAULTS
from thalweg.doctor._gallery._healthy import DATA, KINDS, MODELS, healthy
from thalweg.doctor._gallery._loop import Loop

__all__ = ["DATA", "FAULTS", "KINDS", "MODELS", "Loop", "healthy"]
