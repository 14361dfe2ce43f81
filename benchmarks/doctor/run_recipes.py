"""Are ordinary trainings that do well left in peace, and is what is said of the others proven?

python benchmarks/doctor/run_recipes.py                                   # 240 recipes
python benchmarks/doctor/run_recipes.py --begin 0 --recipes 96 --verbose --out ""
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

#: data and the epochs of their trainings
DATA: dict[str, tuple[int, ...]] = {
    "iris": (20, 30, 50, 100),
    "wine": (20, 30, 50, 100),
    "breast-cancer": (20, 30, 50, 100),
    "digits": (10, 20, 30),
    "diabetes": (20, 30, 50, 100),
    "moons": (20, 30, 50, 100),
    "friedman": (20, 30, 50, 100),
    "clusters": (20, 30, 50, 100),
    "flavanoids": (20, 30, 50, 100),
    "mnist": (2, 3, 5, 8),
    "fashion-mnist": (2, 3, 5, 8),
    "adult": (2, 3, 5),
}
_PICTURES = ("digits", "mnist", "fashion-mnist")
#: rules with the rates that people give them
_RULES = (
    *2 * [("adam", 1e-3), ("adamw", 1e-3)],
    *[("adam", 3e-3), ("adamw", 3e-3), ("adam", 1e-2), ("rmsprop", 1e-3)],
    *[("sgd", 0.1), ("sgd", 0.05), ("momentum", 0.05), ("momentum", 0.01), ("nesterov", 0.02)],
)
_DECAY = {"adam": (0.0, 0.0, 0.0, 1e-4), "adamw": (0.0, 0.0, 0.0, 1e-2), "rmsprop": (0.0,)}
_WIDTHS = ((16,), (32,), (64,), (128,), (64, 32), (64, 64), (128, 64), (64, 64, 64))
#: first number of the recipes that no rule was tuned on
_APART = 1000
#: standard errors by which a score may be worse than the best of its data, and still be as good
_AS_GOOD = 2.0


def drawn(number: int) -> tuple[str, dict[str, Any]]:
    """Returns data and an ordinary recipe."""
    rng = random.Random(number)
    data = list(DATA)[number % len(DATA)]
    model = rng.choices(["mlp", "linear", "cnn"], [0.75, 0.15, 0.1 if data in _PICTURES else 0])[0]
    optimizer, lr = rng.choice(_RULES)
    recipe: dict[str, Any] = {
        "model": model,
        "optimizer": optimizer,
        "lr": lr,
        "batch_size": rng.choice([16, 32, 32, 64, 64, 64 if data in ("iris", "wine", "flavanoids") else 128]),
        "schedule": rng.choice(["constant", "constant", "constant", "cosine"]),
        "epochs": rng.choice(DATA[data]),
        "weight_decay": rng.choice(_DECAY.get(optimizer, (0.0, 0.0, 1e-4, 5e-4))),
    }
    if optimizer in ("momentum", "nesterov"):
        recipe["momentum"] = 0.9
    if model == "mlp":
        widths = rng.choice(_WIDTHS)
        usual = ["tanh", "gelu", "leaky_relu", "silu"] if len(widths) > 1 else ["tanh", "gelu", "elu", "sigmoid"]
        recipe["widths"] = widths
        recipe["activation"] = rng.choice(["relu"] * 4 + usual)
        recipe["norm"] = rng.choice(["none"] * 6 + ["batch", "batch", "layer"])
        recipe["dropout"] = rng.choice([0.0] * 6 + [0.1, 0.2, 0.3, 0.5])
    if model == "cnn":
        recipe["widths"] = rng.choice([(8, 16), (16, 32)])
    return data, recipe


def task_of(data: str) -> Any:
    """Returns what is optimised: a named task, or one of scikit-learn's tables."""
    from sklearn import datasets

    from thalweg.tasks import load_task

    if data == "moons":
        return load_task(datasets.make_moons(600, noise=0.2, random_state=0))
    if data == "friedman":
        return load_task(datasets.make_friedman1(800, noise=1.0, random_state=0))
    if data == "clusters":
        about = {"n_informative": 8, "n_classes": 3, "flip_y": 0.05, "random_state": 0}
        return load_task(datasets.make_classification(1000, 20, **about))
    if data == "flavanoids":
        columns, _ = datasets.load_wine(return_X_y=True, as_frame=True)
        return load_task(columns, target="flavanoids")
    return load_task(data)


def work(number: int, seconds: float) -> dict[str, Any]:
    """Returns the score of a recipe, its standard error, and what the doctor says of the training."""
    import torch

    import thalweg as tw
    from thalweg.recipes import Recipe
    from thalweg.workflows import doctor

    torch.set_num_threads(1)
    begun = time.perf_counter()
    data, recipe = drawn(number)
    about: dict[str, Any] = {"number": number, "data": data, "recipe": recipe}
    task = task_of(data)
    with TemporaryDirectory() as place:
        run = Path(place) / "run"
        scores = tw.train(task, Recipe(**recipe), seeds=1, out=run).test
        found = doctor(run, seconds=seconds).diagnosis
    score, rows = math.nan if scores is None else scores.values[0], len(task.test)
    if scores is None:  # it diverged
        about |= {"error": None, "standard error": None}
    elif task.kind == "regression":  # of a root mean square of normal errors
        about |= {"error": score, "standard error": score / math.sqrt(2 * rows)}
    else:
        about |= {"error": 1 - score, "standard error": math.sqrt((score * (1 - score) + 1 / rows) / rows)}
    about["findings"] = [
        {
            "cause": each.cause,
            "evidence": each.evidence,
            "proven": None if each.proof is None else [each.proof.unchanged, each.proof.changed],
        }
        for each in found.findings
    ]
    return {**about, "seconds": round(time.perf_counter() - begun, 2)}


def judged(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns them with whether they do well: as well as the best on their data, as far as its rows tell."""
    best: dict[str, float] = {}
    for each in found:
        if each["error"] is not None:
            best[each["data"]] = min(each["error"], best.get(each["data"], math.inf))
    return [
        {
            **each,
            "well": each["error"] is not None
            and each["error"] <= best[each["data"]] + _AS_GOOD * each["standard error"],
        }
        for each in found
    ]


def figures(found: list[dict[str, Any]]) -> dict[str, Any]:
    well, ill = ([each for each in found if each["well"] is good] for good in (True, False))
    named = [each for each in found if each["findings"]]
    return {
        "trainings": len(found),
        "do well": len(well),
        "named among those that do well": _share([bool(each["findings"]) for each in well]),
        "named without a proof among those that do well": _share(
            [bool(each["findings"]) and not _proven(each) for each in well]
        ),
        "named among the others": _share([bool(each["findings"]) for each in ill]),
        "proven where something is named": _share([_proven(each) for each in named]),
    }


def _proven(each: dict[str, Any]) -> bool:
    return any(one["proven"] for one in each["findings"])


def _share(hits: list[bool]) -> dict[str, Any] | None:
    from scipy.stats import binomtest

    if not hits:
        return None
    interval = binomtest(sum(hits), len(hits)).proportion_ci(method="wilson")
    return {"share": sum(hits) / len(hits), "low": interval.low, "high": interval.high, "of": len(hits)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--begin", type=int, default=_APART, help="number of the first recipe")
    parser.add_argument("--recipes", type=int, default=240)
    parser.add_argument("--proof", type=float, default=8.0, help="seconds for the forks of a training")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--out", default=str(HERE.parent / "results" / "doctor_recipes.json"))
    parser.add_argument("--verbose", action="store_true", help="tell every finding")
    given = parser.parse_args()
    numbers = range(given.begin, given.begin + given.recipes)
    with ProcessPoolExecutor(given.workers, mp_context=get_context("spawn")) as pool:
        found = judged(list(pool.map(work, numbers, [given.proof] * len(numbers))))
    named = [each for each in found if each["findings"]]
    for each in named if given.verbose else []:
        print(each["number"], each["data"], "well" if each["well"] else "ill", each["error"], each["recipe"])
        for one in each["findings"]:
            print("   ", one["cause"], one["proven"], " | ".join(one["evidence"]))
    report = figures(found)
    print(json.dumps(report, indent=1))
    if given.out:
        from benchmarks.machine import hardware, today, versions, write_result

        about = {"date": today(), "hardware": hardware(), "versions": versions("torch", "numpy", "scikit-learn")}
        write_result(Path(given.out), {**about, "begin": given.begin, **report, "named": named})
    return 0


if __name__ == "__main__":
    sys.exit(main())
