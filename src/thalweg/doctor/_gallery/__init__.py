"""Loops with one fault each, and healthy ones: for teaching, and to see whether the doctor names the fault."""

from thalweg.doctor._gallery._exercise import Epoch, Exercise, Trial, choices_of, draw_exercise, find_exercise
from thalweg.doctor._gallery._faults import FAULTS
from thalweg.doctor._gallery._healthy import DATA, KINDS, MODELS, healthy
from thalweg.doctor._gallery._loop import Loop
from thalweg.doctor._gallery._words import DATA_WORDS, FAULT_GROUPS, MODEL_WORDS

__all__ = [
    "DATA",
    "DATA_WORDS",
    "FAULTS",
    "FAULT_GROUPS",
    "KINDS",
    "MODELS",
    "MODEL_WORDS",
    "Epoch",
    "Exercise",
    "Loop",
    "Trial",
    "choices_of",
    "draw_exercise",
    "find_exercise",
    "healthy",
]
