"""A user's own model, by import path or as an object."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from thalweg.core import InputError, Purpose, derive_key, nearest


def load_module(
    source: str | nn.Module | Callable[..., Any],
    input_shape: Sequence[int],
    output_size: int,
    *,
    seed: int | None = None,
) -> nn.Module:
    """Returns a user's model after a forward pass of one row has shown that its sizes fit.

    A factory is called with those of `input_shape` and `output_size` that it takes as keywords. A path is
    imported with the working directory on the import path; it runs the code of that module.

    Args:
        source: `package.module:name` of a factory, a module class or a module; or such an object itself.
        input_shape: Shape of a row, without the batch dim.
        output_size: Outputs that the task needs.
        seed: Draws the factory's own initialisation from this seed and leaves torch's generator as it was;
            None draws it from torch's generator. A module that is given as an object keeps its parameters.
    Returns:
        The module; in the mode (training or evaluation) in which it was given.
    Raises:
        InputError: if it cannot be imported, called or run, or its output is not (B, output_size).
    Example:
        >>> load_module(lambda input_shape, output_size: nn.Linear(*input_shape, output_size), (4,), 3)
        Linear(in_features=4, out_features=3, bias=True)
    """
    shown = source if isinstance(source, str) else getattr(source, "__name__", type(source).__name__)
    found = _import(source) if isinstance(source, str) else source
    with torch.random.fork_rng(devices=[], enabled=seed is not None):
        if seed is not None:
            torch.manual_seed(derive_key(seed, Purpose.MODULE) >> 1)
        module = found if isinstance(found, nn.Module) else _call(found, shown, input_shape, output_size)
    _check_sizes(module, shown, tuple(int(n) for n in input_shape), output_size)
    return module


def _one_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0].rstrip('.') if lines else ''}".rstrip(": ")


def _import(path: str) -> Any:
    module_name, separator, name = path.partition(":")
    if not (separator and module_name and name):
        raise InputError("model", "a path `package.module:name`", path, "Name the factory after the colon.")
    here = os.getcwd()
    added = here not in sys.path
    if added:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # whatever the user's file raises is theirs to read, in one line
        remedy = f"Importing {module_name} gave {_one_line(error)}."
        raise InputError("model", "importable", path, remedy) from error
    finally:
        if added and here in sys.path:
            sys.path.remove(here)
    if not hasattr(module, name):
        public = [n for n in vars(module) if not n.startswith("_")]
        raise InputError("model", f"a name in {module_name}", path, nearest(name, public))
    return getattr(module, name)


def _call(factory: Any, shown: str, input_shape: Sequence[int], output_size: int) -> nn.Module:
    if not callable(factory):
        raise InputError("model", "a torch module or a function that makes one", shown)
    offered = {"input_shape": tuple(int(n) for n in input_shape), "output_size": int(output_size)}
    try:
        taken = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):  # a callable of C, which has no signature
        taken = ()
    if not any(p.kind is p.VAR_KEYWORD for p in taken):
        names = {p.name for p in taken if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
        offered = {k: v for k, v in offered.items() if k in names}
    missing = [
        p.name
        for p in taken
        if p.default is p.empty
        and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
        and (p.name not in offered or p.kind is p.POSITIONAL_ONLY)
    ]
    if missing:
        raise InputError(
            "model",
            "a factory that needs no argument but input_shape and output_size",
            shown,
            f"Give {', '.join(missing)} a default.",
        )
    try:
        module = factory(**offered)
    except Exception as error:
        raise InputError("model", "a factory that runs", shown, f"It raised {_one_line(error)}.") from error
    if not isinstance(module, nn.Module):
        raise InputError("model", "a factory of a torch module", shown, f"It made a {type(module).__name__}.")
    return module


def _check_sizes(module: nn.Module, shown: str, input_shape: tuple[int, ...], output_size: int) -> None:
    training = module.training
    like = next((p for p in module.parameters() if not nn.parameter.is_lazy(p)), torch.zeros(()))
    # evaluation mode: one row has no batch statistics, and dropout needs no stream
    module.eval()
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            output = module(torch.zeros((1, *input_shape), dtype=like.dtype, device=like.device))
    except Exception as error:
        remedy = f"One row of zeros gave {_one_line(error)}."
        raise InputError("model", f"a model of rows of shape {input_shape}", shown, remedy) from error
    finally:
        module.train(training)
    shape = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
    if shape != (1, output_size):
        remedy = f"One row gave {shape}; the task needs {(1, output_size)}."
        raise InputError("model", f"a model with {output_size} outputs for each row", shown, remedy)
