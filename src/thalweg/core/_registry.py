"""Which function draws which result: looked up by name when it is needed, so that no question imports a face."""

from __future__ import annotations

import importlib
from typing import Any

_RENDERERS: dict[tuple[str, str], str] = {
    ("tune", "text"): "thalweg.report:tune_text",
    ("tune", "html"): "thalweg.report:tune_html",
    ("tune", "notebook"): "thalweg.report:notebook_html",
    ("tune", "script"): "thalweg.report:training_script",
    ("train", "text"): "thalweg.report:train_text",
    ("train", "html"): "thalweg.report:train_html",
    ("train", "notebook"): "thalweg.report:notebook_html",
    ("train", "script"): "thalweg.report:training_script",
    ("study", "text"): "thalweg.report:study_text",
    ("study", "html"): "thalweg.report:study_html",
    ("study", "notebook"): "thalweg.report:notebook_html",
    ("path", "text"): "thalweg.report:path_text",
    ("path", "html"): "thalweg.report:path_html",
    ("path", "notebook"): "thalweg.report:notebook_html",
    ("doctor", "text"): "thalweg.report:doctor_text",
    ("doctor", "html"): "thalweg.report:doctor_html",
    ("doctor", "notebook"): "thalweg.report:notebook_html",
    ("diagnosis", "html"): "thalweg.report:diagnosis_html",
    ("diagnosis", "notebook"): "thalweg.report:notebook_html",
    ("faults", "text"): "thalweg.report:faults_text",
    ("gallery", "text"): "thalweg.report:gallery_text",
    ("gallery", "html"): "thalweg.report:gallery_html",
    ("gallery", "notebook"): "thalweg.report:notebook_html",
    ("quiz", "text"): "thalweg.report:quiz_text",
    ("quiz", "html"): "thalweg.report:quiz_html",
    ("quiz", "notebook"): "thalweg.report:notebook_html",
    ("plan", "text"): "thalweg.report:plan_text",
    ("plan", "notebook"): "thalweg.report:plan_html",
}


def register_renderer(kind: str, form: str, target: str) -> None:
    """Says which function draws results of a kind in a form; `target` is `module:function`, imported on first use."""
    _RENDERERS[kind, form] = target


def render(result: Any, form: str) -> str:
    """Returns a result in a form (text, html, notebook, script), drawn by the function registered for its `kind`.

    Raises:
        LookupError: where nothing is registered for it.
    """
    target = _RENDERERS.get((result.kind, form))
    if target is None:
        raise LookupError(f"no renderer draws {result.kind} as {form}")
    module, _, function = target.partition(":")
    return getattr(importlib.import_module(module), function)(result)
