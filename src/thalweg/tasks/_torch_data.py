"""torch data sets and loaders -> `Raw`: read once, within a memory cap."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, TensorDataset, default_collate

from thalweg.core import InputError

from ._arrays import as_array, target_frame
from ._objects import to_numpy
from ._raw import Raw

#: rows that are collated together where no batch size is known
_CHUNK = 256


def read_torch_data(source: Any, *, max_bytes: int) -> Raw:
    """Returns the rows of a Dataset or DataLoader as arrays.

    A loader contributes its data set, collate function and batch size; its sampler and workers are not used,
    since the order of rows is drawn from the seed.

    Raises:
        InputError: if the rows take more than `max_bytes`, or are no pairs of inputs and target.
    """
    dataset, collate, hint = source, default_collate, None
    notes = []
    if isinstance(source, DataLoader):
        dataset, hint = source.dataset, source.batch_size
        collate = source.collate_fn if source.batch_size is not None else default_collate
        notes.append(
            f"From the DataLoader: data set, collate function and batch size ({hint}); its order of "
            "rows is not used, as orders are drawn from the seed."
        )
    if isinstance(dataset, TensorDataset) and collate is default_collate:
        x, y = _pair(dataset.tensors)
    else:
        x, y = _materialise(dataset, collate, hint or _CHUNK, max_bytes)
        notes.append(
            f"{len(x)} rows were read once ({x.nbytes + y.nbytes:,} bytes): random transforms are frozen as drawn."
        )
    array, pixel_max = as_array(x, "the data set")
    targets = target_frame(y, len(array))
    return Raw(
        name=type(dataset).__name__,
        array=array,
        pixel_max=pixel_max,
        targets=targets,
        batch_size_hint=hint,
        notes=tuple(notes),
    )


def _materialise(
    dataset: Any, collate: Callable[[list], Any], size: int, max_bytes: int
) -> tuple[np.ndarray, np.ndarray]:
    xs: list[np.ndarray] = []
    ys: list[np.ndarray] = []
    used = 0
    total = None if isinstance(dataset, IterableDataset) else len(dataset)
    for items in _chunks(dataset, size):
        x, y = _pair(_collated(collate, items))
        xs.append(x)
        ys.append(y)
        used += x.nbytes + y.nbytes
        rows = sum(map(len, xs))
        needed = used if total is None else used * total // max(rows, 1)
        if needed > max_bytes:
            size_text = f"at least {used:,}" if total is None else f"about {needed:,}"
            raise InputError(
                "the data set",
                f"at most {max_bytes:,} bytes in memory, but takes {size_text}",
                remedy="Raise max_bytes.",
            )
    if not xs:
        raise InputError("the data set", "a data set with rows; it is empty")
    shapes = sorted({part.shape[1:] for part in xs})
    if len(shapes) > 1:
        raise InputError("the data set", "made of inputs of one shape", shapes[:4], "Pad or resize them.")
    return np.concatenate(xs), np.concatenate(ys)


def _chunks(dataset: Any, size: int) -> Iterator[list]:
    if isinstance(dataset, IterableDataset):
        rows = iter(dataset)
        while chunk := list(islice(rows, size)):
            yield chunk
    else:
        for start in range(0, len(dataset), size):
            yield [dataset[row] for row in range(start, min(start + size, len(dataset)))]


def _collated(collate: Callable[[list], Any], items: list) -> Any:
    if collate is default_collate:  # pictures and other array-likes are no tensors yet
        items = [tuple(_tensor(part) for part in item) if isinstance(item, tuple | list) else item for item in items]
    try:
        return collate(items)
    except (RuntimeError, TypeError) as error:
        line = " ".join(str(error).split())[:200]
        raise InputError("the data set", f"made of rows that can be collated ({line})") from error


def _tensor(part: Any) -> Any:
    if isinstance(part, torch.Tensor | np.ndarray | np.generic | int | float | str):
        return part
    return torch.from_numpy(np.array(part)) if hasattr(part, "__array_interface__") else part


def _pair(batch: Any) -> tuple[np.ndarray, np.ndarray]:
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        found = f"{len(batch)} parts" if isinstance(batch, tuple | list) else type(batch).__name__
        raise InputError("the data set", "made of pairs of inputs and target", found)
    x, y = (to_numpy(part) for part in batch)
    if not isinstance(x, np.ndarray):
        raise InputError("the data set", "made of inputs that are tensors or arrays", type(x).__name__)
    return x, np.asarray(y)
