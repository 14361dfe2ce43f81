"""Arrays on disk: safetensors, so nothing that is read can run code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from thalweg.core import RunError, write_atomically


def save_arrays(path: str | Path, arrays: dict[str, np.ndarray], about: dict[str, Any] | None = None) -> None:
    """Writes named arrays and some plain data to one safetensors file, atomically.

    Raises:
        RunError: where the file system refuses; the old file stays as it was.
    """
    contiguous = {name: np.asarray(array, order="C") for name, array in arrays.items()}  # 0-d stays 0-d
    metadata = {"about": json.dumps(about or {}, sort_keys=True)}
    write_atomically(path, lambda temporary: save_file(contiguous, str(temporary), metadata=metadata))


def load_arrays(path: str | Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Returns (arrays by name, the plain data) of a file that `save_arrays` wrote.

    Raises:
        RunError: where the file is missing, truncated or not of this kind.
    """
    try:
        with safe_open(str(path), framework="numpy") as handle:
            about = json.loads((handle.metadata() or {}).get("about", "{}"))
            return {name: handle.get_tensor(name) for name in handle.keys()}, about  # noqa: SIM118
    except FileNotFoundError:
        raise RunError(f"{path} is missing. The run folder is not complete.") from None
    except (SafetensorError, OSError, ValueError) as error:
        detail = str(error).splitlines()[0]
        raise RunError(f"{path} is damaged ({detail}). Restore it from a copy, or run again.") from None
