"""The studies by name; each stands in a file of its own, which is loaded when it is asked for."""

from __future__ import annotations

import importlib
import inspect
from typing import TYPE_CHECKING

from thalweg.core import check_choice

if TYPE_CHECKING:
    from thalweg.studies._landscape import LandscapeOptions
    from thalweg.studies._study import Study

#: name -> the question
STUDIES = {
    "activation": "Which activation serves this network, and what does each do to its signals?",
    "augment": "Which transformations of the training rows help this data, and which harm it?",
    "batch-norm": "What does normalisation buy here: a better score, or a wider range of step sizes?",
    "batch-size": "Which batch size fits, which is useful, which is fastest, and how must lr move with it?",
    "bias-variance": "How much of the error is bias and how much is variance, by complexity and by penalty?",
    "dropout": "Does dropout help here, and is it what an ensemble of smaller networks is?",
    "epochs": "Is it time to stop: does training still help, overfit, or wait for a smaller step size?",
    "head": "One logit, one logit a class, or one yes-or-no a class: what does the head change?",
    "init": "How should weights start, and what does each start do to signals and gradients by depth?",
    "l1": "How many weights can go, at which cost in score?",
    "label-smoothing": "Do softened targets help here?",
    "landscape": "What does the loss look like around what was trained, and between several of it?",
    "loss": "Which loss should this task be trained by?",
    "lr": "Which step sizes train, which is best, and where does training break?",
    "momentum": "Where do step size and momentum put the modes of this network?",
    "optimizer": "Which update rule is best, each at its own step size?",
    "random-search": "How far does random search get, against gradient descent at equal evaluations?",
    "schedule": "Which schedule of the step size is best here?",
    "weight-decay": "Is a squared penalty the same as weight decay? It depends on the update rule.",
    "width": "What do more hidden units buy, and what do they cost?",
}


def find_study(name: str, options: LandscapeOptions | None = None) -> Study:
    """Returns a study.

    Args:
        name: A key of `STUDIES`.
        options: Of the landscape; default is its own. No other study has any.

    Raises:
        InputError: where there is none of that name.

    Example:
        >>> find_study("schedule").name
        'schedule'
    """
    check_choice("study", name, STUDIES)
    module = importlib.import_module(f"thalweg.studies._{name.replace('-', '_')}")
    return module.STUDY if options is None else module.landscape_study(options)


def theory_of(name: str) -> str:
    """Returns what theory says of a study, in one paragraph."""
    return inspect.cleandoc(find_study(name).run.__doc__ or "").split("\n\n", 1)[-1]
