"""Studies as functions: `thalweg.study.schedule(task, recipe)` asks the study of that name.

Each takes what `thalweg.workflows.study` takes after the name, and returns its `StudyResult`.
"""

from __future__ import annotations

from functools import partial, update_wrapper
from typing import Any


def __getattr__(name: str) -> Any:
    from thalweg.core import nearest
    from thalweg.studies import STUDIES, find_study
    from thalweg.workflows import landscape, study

    if name == "landscape":  # it has options of its own, and takes runs
        return landscape
    label = name.replace("_", "-")
    if label not in STUDIES:
        raise AttributeError(f"there is no study {name!r}. {nearest(label, STUDIES)}")
    asked = partial(study, label)
    update_wrapper(asked, study)
    asked.__doc__ = find_study(label).run.__doc__
    return asked


def __dir__() -> list[str]:
    from thalweg.studies import STUDIES

    return [name.replace("-", "_") for name in STUDIES]
