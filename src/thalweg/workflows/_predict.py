"""`predict`: new rows through the model of a run."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from thalweg.core import InputError, RunError, write_atomically
from thalweg.population import empty_module, load_state
from thalweg.recipes import read_recipe
from thalweg.store import RunFolder, load_arrays
from thalweg.tasks import LOSSES, Preparation, apply_link, prepare_rows


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """Predictions of new rows.

    Args:
        kind: Kind of target.
        columns: Column name -> values, (n,): `prediction` (or one for each target) and `p_CLASS` for classes.
        notes: What was unusual in the rows, in plain sentences.
    """

    kind: str
    columns: dict[str, np.ndarray]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def frame(self) -> Any:
        """Returns a polars data frame."""
        import polars as pl

        return pl.DataFrame({name: values.tolist() for name, values in self.columns.items()})

    def to_json(self) -> dict[str, Any]:
        """Returns column -> list of values."""
        return {name: values.tolist() for name, values in self.columns.items()}

    def to_csv(self) -> str:
        """Returns CSV text with a header."""
        buffer = io.StringIO()
        self.frame().write_csv(buffer)
        return buffer.getvalue()

    def write(self, path: str | Path) -> None:
        """Writes a CSV or Parquet file, by its ending.

        Raises:
            InputError: for another ending.
            RunError: where the file cannot be written.
        """
        ending = Path(path).suffix.lower()
        if ending not in (".csv", ".parquet"):
            raise InputError("--out", "a .csv or .parquet file", str(path))
        frame = self.frame()
        write_atomically(path, frame.write_csv if ending == ".csv" else frame.write_parquet)


def predict(run: str | Path, data: Any) -> Predictions:
    """Returns the predictions of a run's model for new rows.

    Args:
        run: The run folder.
        data: A file, data frame or array with the columns of the training data; a target column may be there or not.

    Raises:
        InputError: where columns are missing or hold what the training data did not.
        RunError: where the folder holds no model, or a file is damaged.
    """
    import torch

    folder = RunFolder(run)
    if not folder.has("model.safetensors"):
        raise RunError(f"{folder.path} holds no model: the run did not finish.")
    folder.check("task.json", "recipe.toml")
    about = folder.read_json("task.json")
    recipe = read_recipe(folder.path / "recipe.toml")
    try:
        preparation = Preparation.from_json(about["preparation"])
        input_shape, output_size = tuple(about["input_shape"]), int(about["output_size"])
        kind, classes, link = about["kind"], about["classes"], LOSSES[about["loss"]].link
    except (KeyError, TypeError, ValueError) as error:
        raise folder.damaged("task.json", error) from None
    module = empty_module(recipe, input_shape, output_size)
    arrays, _ = load_arrays(folder.path / "model.safetensors")
    try:
        load_state(module, arrays)
    except RuntimeError as error:
        detail = str(error).splitlines()[-1].strip()
        raise RunError(f"model.safetensors does not fit recipe.toml in {folder.path} ({detail}).") from None
    notes: list[str] = []
    x = prepare_rows(preparation, data, notes=notes)
    with torch.no_grad():
        real = next(module.parameters()).dtype
        chunks = [module.eval()(part) for part in torch.from_numpy(x).to(real).split(1024)]
    outputs = torch.cat(chunks).numpy().astype(np.float64)
    return Predictions(kind=kind, columns=_columns(kind, classes, link, outputs, preparation), notes=tuple(notes))


def _columns(
    kind: str, classes: list[str], link: str, outputs: np.ndarray, preparation: Preparation
) -> dict[str, np.ndarray]:
    values = apply_link(link, outputs)
    if kind == "regression":
        found = outputs * np.array(preparation.target_std) + np.array(preparation.target_mean)
        names = preparation.targets
        return {"prediction" if len(names) == 1 else f"prediction_{n}": found[:, k] for k, n in enumerate(names)}
    if kind == "multilabel":
        chosen = {f"prediction_{name}": (outputs[:, k] > 0).astype(np.int64) for k, name in enumerate(classes)}
        return {**chosen, **({f"p_{n}": values[:, k] for k, n in enumerate(classes)} if link == "sigmoid" else {})}
    if kind == "binary":
        threshold = 0.5 if link == "identity" else 0.0
        picked = (outputs[:, 0] > threshold).astype(np.int64)
        both = np.stack([1 - values[:, 0], values[:, 0]], axis=1)
        probabilities = both if link == "sigmoid" else None
    else:
        picked = outputs.argmax(axis=1)
        probabilities = values if link == "softmax" else None
    columns = {"prediction": np.array(classes)[picked]}
    if probabilities is not None:
        columns.update({f"p_{name}": probabilities[:, k] for k, name in enumerate(classes)})
    return columns
