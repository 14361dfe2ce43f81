"""Arrays on disk: safetensors, so nothing that is read can run code."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from thalweg.core import RunError, write_atomically

_SUM = "crc32"


def save_arrays(path: str | Path, arrays: dict[str, np.ndarray], about: dict[str, Any] | None = None) -> None:
    """Writes named arrays and some plain data to one safetensors file, atomically.

    Raises:
        RunError: where the file system refuses; the old file stays as it was.
    """
    contiguous = {name: np.asarray(array, order="C") for name, array in arrays.items()}  # 0-d stays 0-d
    # one entry: the order of several is not the same in every process
    metadata = {"about": json.dumps({**(about or {}), _SUM: _checksum(contiguous)}, sort_keys=True)}
    write_atomically(path, lambda temporary: save_file(contiguous, str(temporary), metadata=metadata))


def load_arrays(path: str | Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Returns (arrays by name, the plain data) of a file that `save_arrays` wrote.

    Raises:
        RunError: where the file is missing, truncated or not of this kind.
    """
    try:
        with safe_open(str(path), framework="numpy") as handle:
            about = json.loads((handle.metadata() or {}).get("about", "{}"))
            arrays = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118
        # files of the first version have no sum
        if about.pop(_SUM, None) not in (None, _checksum(arrays)):
            raise ValueError("its numbers are not those that were written")
        return arrays, about
    except FileNotFoundError:
        raise RunError(f"{path} is missing. The run folder is not complete.") from None
    except (SafetensorError, OSError, ValueError, AttributeError) as error:
        detail = str(error).splitlines()[0]
        raise RunError(f"{path} is damaged ({detail}). Restore it from a copy, or run again.") from None


def _checksum(arrays: dict[str, np.ndarray]) -> int:
    """Returns the CRC-32 of all arrays with their names, dtypes and shapes."""
    found = 0
    for name in sorted(arrays):
        array = arrays[name]
        found = zlib.crc32(f"{name} {array.dtype} {array.shape}".encode(), found)
        found = zlib.crc32(array.reshape(-1).view(np.uint8).data, found)
    return found
