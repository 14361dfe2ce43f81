"""Permutations of hidden units that bring one MLP as near to another as they can."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.optimize import linear_sum_assignment

from thalweg.core import InputError, Purpose, derive_key

_MOST_SWEEPS = 100


def align_units(
    reference: Mapping[str, np.ndarray], params: Mapping[str, np.ndarray], num_hidden: int, *, seed: int = 0
) -> dict[str, np.ndarray]:
    """Returns an MLP with its hidden units in the order that is nearest to another's: the same function.

    Swapping two units of a layer, with their incoming and outgoing weights, does not change what a network computes.
    Weight matching picks, layer by layer in random order until nothing changes, the permutation that makes the sum of
    products of matching weights largest: a linear assignment (Ainsworth, Hayase and Srinivasa, Git Re-Basin: merging
    models modulo permutation symmetries, 2023, algorithm 1).

    Args:
        reference: Parameters that stay: linear1.weight (out, in), linear1.bias, ..., output.weight.
        params: Parameters of a network of the same shape.
        num_hidden: Hidden layers.
        seed: Of the order in which layers are visited.

    Raises:
        InputError: where the names or shapes are not those of one MLP without pieces.
    """
    for name, value in reference.items():
        if name not in params or params[name].shape != value.shape:
            raise InputError("params", f"of the reference's shape; {name} is {value.shape} there", name)
    layers = [f"linear{k + 1}" for k in range(num_hidden)] + ["output"]
    if any(f"{name}.weight" not in reference for name in layers):
        raise InputError("params", f"those of an MLP with {num_hidden} hidden layers", list(reference))
    found = {name: np.array(value, copy=True) for name, value in params.items()}
    rng = np.random.default_rng(derive_key(seed, Purpose.SPACE))
    for _ in range(_MOST_SWEEPS):
        changed = False
        for k in rng.permutation(num_hidden):
            here, above = layers[k], layers[k + 1]
            gain = reference[f"{here}.weight"] @ found[f"{here}.weight"].T
            for extra in _per_unit(reference, k + 1):
                gain = gain + np.outer(reference[extra], found[extra])
            gain = gain + reference[f"{above}.weight"].T @ found[f"{above}.weight"]
            _, order = linear_sum_assignment(gain, maximize=True)
            if np.array_equal(order, np.arange(len(order))):
                continue
            changed = True
            found[f"{here}.weight"] = found[f"{here}.weight"][order]
            for extra in _per_unit(found, k + 1):
                found[extra] = found[extra][order]
            found[f"{above}.weight"] = found[f"{above}.weight"][:, order]
        if not changed:
            break
    return found


def _per_unit(params: Mapping[str, np.ndarray], number: int) -> list[str]:
    """Returns the vectors of a hidden layer that have one number a unit."""
    units = len(params[f"linear{number}.weight"])
    own = (f"linear{number}.bias", f"norm{number}.weight", f"norm{number}.bias")
    return [name for name in own if name in params and params[name].shape == (units,)]
