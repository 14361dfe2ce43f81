"""How fast is a surface: our grid, plain vmap, and the loss-landscapes package, on one model and the same rows?

    python benchmarks/landscape.py                    # writes results/landscape.json
    python benchmarks/landscape.py --repeats 3 --out ""

All run in this process, in turn, on the same planes; medians of the ratios. Ends with 1 where a claim does not hold.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from machine import hardware, matrix_rate, print_claims, today, versions, write_result
from torch import nn
from torch.func import functional_call, vmap

from thalweg.landscape import Plane, Scorer, filter_normalized_plane
from thalweg.models import build_network, mlp_architecture
from thalweg.recipes import Recipe
from thalweg.tasks import load_task, per_example

#: claim -> the ratio that it wants
LEAST = {"vmap": 6.0, "loss-landscapes": 20.0}
MOST_ERROR, MOST_SECONDS = 1e-5, 0.05


class Setting:
    """A network, rows and a plane."""

    def __init__(self, widths: tuple[int, ...], points: int, num_rows: int) -> None:
        task = load_task("fashion-mnist")
        self.recipe = Recipe(widths=widths)
        torch.manual_seed(0)  # torch's own start: its biases are not zero, by whose size the package divides
        self.model = build_network(mlp_architecture(784, 10, widths)).float().eval()
        self.x = task.train.x[:num_rows].reshape(num_rows, -1)
        self.y = task.train.y[:num_rows]
        params = {name: p.detach().numpy().copy() for name, p in self.model.named_parameters()}
        self.plane = filter_normalized_plane(params, seed=0)
        side = np.linspace(-1, 1, points)
        self.a, self.b = (axis.ravel() for axis in np.meshgrid(side, side))
        self.points = points


def ours(setting: Setting) -> np.ndarray:
    """Returns (M,) losses by our grid, from arrays to arrays."""
    scorer = Scorer(setting.model, {}, setting.x, setting.y, "cross_entropy", recipe=setting.recipe)
    return scorer.at(setting.plane, setting.a, setting.b).loss


def by_vmap(setting: Setting, chunk: int) -> np.ndarray:
    """Returns (M,) losses by vmap over points, in chunks: all parameters of each point are made."""
    x, y = torch.from_numpy(setting.x), torch.from_numpy(setting.y)
    o, u, v = (_tensors(part) for part in (setting.plane.origin, setting.plane.u, setting.plane.v))

    def loss(place: torch.Tensor) -> torch.Tensor:
        params = {name: o[name] + place[0] * u[name] + place[1] * v[name] for name in o}
        return per_example("cross_entropy", functional_call(setting.model, params, (x,)), y).mean()

    places = torch.from_numpy(np.stack([setting.a, setting.b], 1).astype(np.float32))
    with torch.no_grad():
        return torch.cat([vmap(loss)(part) for part in places.split(chunk)]).numpy()


def _tensors(params) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(np.asarray(value, np.float32)) for name, value in params.items()}


def by_package(setting: Setting) -> np.ndarray:
    """Returns losses by loss-landscapes on random filter-normalised directions of its own, over as many points."""
    import loss_landscapes  # pyright: ignore[reportMissingImports]
    from loss_landscapes.metrics import Loss  # pyright: ignore[reportMissingImports]

    metric = Loss(nn.CrossEntropyLoss(), torch.from_numpy(setting.x), torch.from_numpy(setting.y))
    model = copy.deepcopy(setting.model)
    return loss_landscapes.random_plane(model, metric, 1, setting.points, "filter", deepcopy_model=True)


def plain(setting: Setting, plane: Plane, dtype: torch.dtype, some: np.ndarray) -> np.ndarray:
    """Returns the losses of some points, one at a time by the module itself: what all are checked against."""
    model = copy.deepcopy(setting.model).to(dtype)
    x, y = torch.from_numpy(setting.x).to(dtype), torch.from_numpy(setting.y)
    found = []
    with torch.no_grad():
        for k in some:
            params = {
                name: torch.from_numpy(
                    plane.origin[name] + setting.a[k] * plane.u[name] + setting.b[k] * plane.v[name]
                ).to(dtype)
                for name in plane.origin
            }
            found.append(float(per_example("cross_entropy", functional_call(model, params, (x,)), y).mean()))
    return np.array(found)


def timed(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def main() -> int:
    parser = argparse.ArgumentParser(description="Time a loss surface against its peers.")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", default=str(Path(__file__).parent / "results" / "landscape.json"))
    given = parser.parse_args()
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    large, small = Setting((64, 64), 51, 2048), Setting((64,), 21, 256)
    some = np.random.default_rng(0).choice(len(large.a), 40, replace=False)
    exact = plain(large, large.plane, torch.float64, some)
    error = float(np.abs(ours(large)[some] / exact - 1).max())
    # the peer gets its best chunk
    chunks = {chunk: min(timed(lambda c=chunk: by_vmap(large, c)) for _ in range(2)) for chunk in (4, 8, 16, 32, 64)}
    chunk = min(chunks, key=lambda c: chunks[c])
    sides = {
        "ours": lambda: ours(large),
        "vmap": lambda: by_vmap(large, chunk),
        "loss-landscapes": lambda: by_package(large),
    }
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _, (name, call) in itertools.product(range(given.repeats), sides.items()):
        seconds[name].append(timed(call))
    ours(small)
    interactive = [timed(lambda: ours(small)) for _ in range(4 * given.repeats)]
    ratios = {
        name: statistics.median(theirs / mine for theirs, mine in zip(seconds[name], seconds["ours"], strict=True))
        for name in LEAST
    }
    claims = {f"{name} takes at least {least:g}x as long": ratios[name] >= least for name, least in LEAST.items()}
    claims[f"largest relative error at most {MOST_ERROR:g}"] = error <= MOST_ERROR
    median = statistics.median(interactive)
    claims[f"21 x 21 points of 784-64-10 on 256 rows in at most {MOST_SECONDS:g} s"] = median <= MOST_SECONDS
    # what is left behind the first layer: 64 x 64 and 64 x 10 multiply-adds a row and point
    floor = 2 * len(large.a) * len(large.x) * (64 * 64 + 64 * 10) / matrix_rate()
    middle = {name: f"{statistics.median(found):.3f} s" for name, found in seconds.items()}
    print(f"784-64-64-10, 51 x 51 points, 2,048 rows: {middle}; ratios {ratios}; error {error:.1e}")
    print(f"784-64-10, 21 x 21 points, 256 rows: {median * 1000:.1f} ms")
    print(f"floor: the products behind the first layer take {floor:.3f} s at the rate of large ones")
    holds = print_claims(claims)
    if given.out:
        report = {
            "date": today(),
            "hardware": hardware(),
            "versions": versions("torch", "numpy", "loss-landscapes"),
            "config": {"repeats": given.repeats, "threads": torch.get_num_threads(), "vmap_chunk": chunk},
            "vmap_chunks": {str(c): round(s, 4) for c, s in chunks.items()},
            "seconds": {name: [round(s, 4) for s in found] for name, found in seconds.items()},
            "interactive_seconds": [round(s, 5) for s in interactive],
            "ratios": ratios,
            "floor_seconds": round(floor, 4),
            "largest_relative_error": error,
            "claims": claims,
        }
        write_result(Path(given.out), report)
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
