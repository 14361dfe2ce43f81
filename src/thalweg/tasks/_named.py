"""Data sets by name: embedded, bundled with scikit-learn, or in the folder that THALWEG_DATA names."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from thalweg.core import InputError

from ._raw import Raw, append_test

_DATA = Path(__file__).parent / "_data"
_ENVIRONMENT = "THALWEG_DATA"
_CLOTHES = (
    "t-shirt/top",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)
_DIGITS = tuple("0123456789")
#: sha256 of the files that the full sets were checked with
_FULL = {
    "mnist.npz": "06af5dfe73b70e3bc1c36439982b18a8d76803db9b544f6fdf838a37fbb01b64",
    "fashion_mnist.npz": "5b6d2c4c694a91887af8ab7d039c04f80af3c29378d731c93a538d2e831aa469",
}


def named_tasks() -> dict[str, str]:
    """Returns the names that `load_task` knows, each with one line on the data.

    Example:
        >>> named_tasks()["iris"]
        '150 flowers, 4 lengths, 3 species (scikit-learn)'
    """
    return {name: doc for name, (doc, _) in _NAMED.items()}


def read_named(name: str) -> Raw:
    """Returns a data set by its name."""
    return _NAMED[name][1]()


def _images(path: Path, classes: tuple[str, ...], name: str, notes: tuple[str, ...] = ()) -> Raw:
    with np.load(path, allow_pickle=False) as file:
        parts = [
            Raw(
                name=name,
                array=file[f"x_{part}"],
                targets=pl.DataFrame({"label": file[f"y_{part}"].astype(np.int64)}),
                classes=classes,
                pixel_max=255.0,
                notes=notes if part == "train" else (),
            )
            for part in ("train", "test")
        ]
    return append_test(*parts)


def _full_images(file: str, classes: tuple[str, ...], name: str) -> Raw:
    folder = os.environ.get(_ENVIRONMENT)
    path = Path(folder) / file if folder else None
    if path is None or not path.is_file():
        raise InputError(
            _ENVIRONMENT,
            f"a folder that holds {file}",
            folder,
            f"Put {file} (sha256 {_FULL[file]}; arrays x_train, y_train, x_test, y_test) into a folder and "
            f"set {_ENVIRONMENT} to it.",
        )
    with open(path, "rb") as opened:
        found = hashlib.file_digest(opened, "sha256").hexdigest()
    other = f"{file} has the sha256 {found}, not the {_FULL[file]} that this name was checked with."
    return _images(path, classes, name, () if found == _FULL[file] else (other,))


def _bundled(loader: str, name: str) -> Raw:
    from sklearn import datasets

    found: Any = getattr(datasets, loader)()
    features = [str(feature) for feature in found.feature_names]
    return Raw(
        name=name,
        frame=pl.DataFrame(dict(zip(features, found.data.T, strict=True))),
        targets=pl.DataFrame({"target": found.target}),
        classes=tuple(str(c) for c in getattr(found, "target_names", ())),
    )


def _digits() -> Raw:
    from sklearn.datasets import load_digits

    found: Any = load_digits()
    return Raw(
        name="digits",
        array=found.images.astype(np.uint8),
        targets=pl.DataFrame({"label": found.target.astype(np.int64)}),
        classes=_DIGITS,
        pixel_max=16.0,
    )


def _adult() -> Raw:
    parts = [
        Raw(name="adult", frame=pl.read_csv(_DATA / f"adult_{part}.csv.gz", infer_schema_length=None))
        for part in ("train", "test")
    ]
    return append_test(*parts)


_NAMED: dict[str, tuple[str, Callable[[], Raw]]] = {
    "fashion-mnist": (
        "5,000 + 1,000 test pictures of clothing, 28x28, 10 classes (embedded)",
        partial(_images, _DATA / "fashion_mnist_5k_1k.npz", _CLOTHES, "fashion-mnist"),
    ),
    "fashion-mnist-full": (
        "60,000 + 10,000 test pictures of clothing, 28x28, 10 classes (file in THALWEG_DATA)",
        partial(_full_images, "fashion_mnist.npz", _CLOTHES, "fashion-mnist-full"),
    ),
    "mnist": (
        "5,000 + 1,000 test handwritten digits, 28x28 (embedded)",
        partial(_images, _DATA / "mnist_5k_1k.npz", _DIGITS, "mnist"),
    ),
    "mnist-full": (
        "60,000 + 10,000 test handwritten digits, 28x28 (file in THALWEG_DATA)",
        partial(_full_images, "mnist.npz", _DIGITS, "mnist-full"),
    ),
    "digits": ("1,797 handwritten digits, 8x8 (scikit-learn)", _digits),
    "iris": ("150 flowers, 4 lengths, 3 species (scikit-learn)", partial(_bundled, "load_iris", "iris")),
    "wine": ("178 wines, 13 measurements, 3 growers (scikit-learn)", partial(_bundled, "load_wine", "wine")),
    "breast-cancer": (
        "569 tumours, 30 measurements, malignant or benign (scikit-learn)",
        partial(_bundled, "load_breast_cancer", "breast-cancer"),
    ),
    "diabetes": (
        "442 patients, 10 measurements, a number for the progression (scikit-learn)",
        partial(_bundled, "load_diabetes", "diabetes"),
    ),
    "adult": ("32,561 + 16,281 test people, 14 columns, income above 50K (embedded)", _adult),
}

#: what `load_task` assumes for a name where nothing is given
NAMED_DEFAULTS: dict[str, dict[str, Any]] = {
    "adult": {"target": "income", "groups": ("sex", "race"), "missing": "mean"}
}
