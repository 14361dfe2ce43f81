"""All update rules that the project has; importing this registers them."""

from __future__ import annotations

from thalweg.optim._adagrad import ADAGRAD
from thalweg.optim._adam import ADAM
from thalweg.optim._adamw import ADAMW
from thalweg.optim._heavy_ball import HEAVY_BALL
from thalweg.optim._lion import LION
from thalweg.optim._momentum import MOMENTUM
from thalweg.optim._muon import MUON
from thalweg.optim._nesterov import NESTEROV
from thalweg.optim._random_search import RANDOM_SEARCH
from thalweg.optim._rmsprop import RMSPROP
from thalweg.optim._rule import RULES
from thalweg.optim._schedule_free_adamw import SCHEDULE_FREE_ADAMW
from thalweg.optim._sgd import SGD
from thalweg.optim._sgdw import SGDW

__all__ = [
    "ADAGRAD",
    "ADAM",
    "ADAMW",
    "HEAVY_BALL",
    "LION",
    "MOMENTUM",
    "MUON",
    "NESTEROV",
    "RANDOM_SEARCH",
    "RMSPROP",
    "RULES",
    "SCHEDULE_FREE_ADAMW",
    "SGD",
    "SGDW",
]
