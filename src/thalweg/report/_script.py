"""`train.py`: one run of a recipe as a plain PyTorch script that stands alone."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from thalweg.core import InputError
from thalweg.recipes import Recipe
from thalweg.report._script_optim import optimizer_code, optimizer_lines
from thalweg.report._script_pieces import (
    Job,
    init_lines,
    loss_lines,
    model_lines,
    module_lines,
    prox_lines,
    random_lines,
    schedule_lines,
    score_lines,
)
from thalweg.report._words import metric_label
from thalweg.tasks import Task

if TYPE_CHECKING:
    from thalweg.workflows import TrainResult, TuneResult


def training_script(result: TuneResult | TrainResult) -> str:
    """Returns `train.py`: plain PyTorch that trains the saved model of a result again, or a seed that diverged.

    It needs torch, NumPy and `data.npz` beside it, and holds the pieces of this recipe alone. The saved model is
    trained in float64, and so is the script: the same predictions on any machine.

    Args:
        result: What `tune` or `train` returned, of a run that came to its end.

    Raises:
        InputError: for a user's own model, or where nothing was trained to the end.
    """
    if result.script_seed is None:
        raise InputError("result", "one with a trained model, to be exported", None, "Let the run finish.")
    return script_of(result.task, result.recipe, result.script_seed, "float64")


def script_of(task: Task, recipe: Recipe, seed: int, dtype: str = "float32") -> str:
    """Returns the script that trains a recipe on a task's `data.npz` from a seed.

    Args:
        task: What is optimised.
        recipe: How.
        seed: The script's default of `--seed`.
        dtype: float32 or float64.

    Raises:
        InputError: for a model, activation, rule, loss or metric that is a user's own.
    """
    if ":" in recipe.model:
        raise InputError(
            "model", "linear, mlp or cnn, to be exported", recipe.model, "Your own module needs your code."
        )
    job = Job(task=task, recipe=recipe, dtype=dtype)
    blocks = [
        random_lines(job),
        module_lines(job),
        model_lines(job),
        init_lines(job),
        loss_lines(job),
        score_lines(job),
        optimizer_lines(job),
        schedule_lines(job),
        prox_lines(job),
        _predict_lines(),
        _train_lines(job),
        _main_lines(job, seed),
    ]
    body = "\n\n\n".join("\n".join(block) for block in blocks if block)
    text = "\n".join([*_header(job, seed), *_imports(body), "", *_constants(job)])
    return f'{text}\n\n{body}\n\n\nif __name__ == "__main__":\n    main()\n'


def _header(job: Job, seed: int) -> list[str]:
    recipe = job.recipe
    kind = {"linear": "a linear model", "mlp": "an MLP", "cnn": "a CNN"}[recipe.model]
    single = "so some predictions near a boundary may differ after a long run in single precision"
    differ = single if job.dtype == "float32" else "which shows in the last digits only"
    told = (
        "Written by Thalweg, which is not needed to run it: torch, NumPy and data.npz beside this file are. It starts "
        f"from the same weights and takes the same batches in the same order as seed {seed} of the recommended run; "
        f"torch rounds in its own way, {differ}."
    )
    return [
        f'"""Trains {kind} on {_plain(job.task.name)} with {recipe.optimizer}.',
        "",
        *textwrap.wrap(told, 110),
        "",
        "    python train.py",
        f'    python train.py --seed {seed + 1} --out other.npz\n"""',
        "",
    ]


def _plain(text: str) -> str:
    """Returns a name as it may stand inside a docstring, whatever the user called the data."""
    return "".join(c if c.isprintable() and c not in '"\\' else "_" for c in text)[:60]


def _imports(body: str) -> list[str]:
    plain = [f"import {name}" for name in ("argparse", "copy", "math") if f"{name}." in body]
    functional = ["from torch.nn import functional as F"] if "F." in body else []
    return [
        *plain,
        "from collections import OrderedDict",
        "from pathlib import Path",
        "",
        "import numpy as np",
        "import torch",
        "from torch import nn",
        *functional,
    ]


def _constants(job: Job) -> list[str]:
    recipe = job.recipe
    size = len(job.task.train) if recipe.batch_size is None else recipe.batch_size
    return [f"LR = {recipe.lr!r}", f"BATCH_SIZE = {size}", f"EPOCHS = {recipe.epochs}"]


def _predict_lines() -> list[str]:
    return [
        "@torch.no_grad()",
        "def predict(model, x):",
        "    model.eval()",
        "    return torch.cat([model(part) for part in x.split(1024)])",
    ]


def _train_lines(job: Job) -> list[str]:
    """Returns the training loop."""
    recipe = job.recipe
    watched = recipe.patience is not None
    lines = [
        "def train(model, data, seed):",
        '    x, y = data["x_train"], data["y_train"]',
        "    steps_per_epoch = len(x) // BATCH_SIZE",
        f"    optimizer = {optimizer_code(job)}",
    ]
    if job.schedule:
        lines += [
            "    total = EPOCHS * steps_per_epoch",
            "    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: lr_factor(step, total))",
        ]
    if job.plateau:
        lines += [
            "    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(",
            f"        optimizer, factor={recipe.schedule_gamma!r}, patience=10, threshold=1e-4, eps=0.0",
            "    )",
        ]
    if watched:
        lines += ['    best_loss, best_epoch, best = float("inf"), -1, None']
    if job.dropout:
        lines += ["    Dropout.seed = seed"]
    lines += [
        "    for epoch in range(EPOCHS):",
        "        model.train()",
        "        order = torch.from_numpy(epoch_order(seed, epoch, len(x)))",
        "        for step in range(steps_per_epoch):",
        "            rows = order[step * BATCH_SIZE : (step + 1) * BATCH_SIZE]",
        *([f"            {line}" for line in _step_lines(job)]),
    ]
    if watched or job.plateau:
        lines += _epoch_lines(job)
    if watched:
        lines += ["    if best is not None:", "        return best"]
    if job.optimizer == "schedule_free_adamw":
        return [*lines, "    return optimizer.averaged(model)"]
    return [*lines, "    return model"]


def _step_lines(job: Job) -> list[str]:
    """Returns one optimizer step."""
    recipe = job.recipe
    loss_of = "training_loss" if recipe.label_smoothing else "loss_of"
    at = "epoch * steps_per_epoch + step"
    lines = [f"Dropout.step = {at}"] if job.dropout else []
    if not job.takes_gradient:
        # the pass before the search is what moves the running statistics of batch normalisation, once a step
        lines += ["with torch.no_grad():", "    model(x[rows])"] if job.batch_norm else []
        penalty = ""
        if job.l2:
            penalty = f" + {job.l2!r} / 2 * squares"
        lines += [
            "",
            "def objective(m, rows=rows):",
            *(["    squares = sum(w.square().sum() for w in m.parameters() if w.dim() >= 2)"] if job.l2 else []),
            f"    return {loss_of}(m(x[rows]), y[rows]){penalty}",
            "",
            "optimizer.step(model, objective)",
        ]
        return lines if lines[0] else lines[1:]
    lines += [
        f"loss = {loss_of}(model(x[rows]), y[rows])",
        "if not torch.isfinite(loss):",
        f'    raise SystemExit(f"diverged at step {{{at}}}")',
        "optimizer.zero_grad()",
        "loss.backward()",
    ]
    if job.l2:
        lines += [
            "for w in model.parameters():",
            "    if w.dim() >= 2:  # the penalty is on weights, not on biases and norms",
            f"        w.grad.add_(w.detach(), alpha={job.l2!r})",
        ]
    if recipe.clip_norm is not None:
        lines.append(f"nn.utils.clip_grad_norm_(model.parameters(), {recipe.clip_norm!r})")
    lines.append("optimizer.step()")
    if job.l1:
        lines.append(f"shrink(optimizer, {at} + 1)")
    if job.schedule:
        lines.append("schedule.step()")
    return lines


def _epoch_lines(job: Job) -> list[str]:
    """Returns what happens at the end of an epoch."""
    model = "optimizer.averaged(model)" if job.optimizer == "schedule_free_adamw" else "model"
    lines = []
    if model != "model":
        lines.append(f"        current = {model}")
        model = "current"
    lines.append(
        f'        validation_loss = float(loss_of(predict({model}, data["x_validation"]), data["y_validation"]))'
    )
    if job.plateau:
        lines.append("        plateau.step(validation_loss)")
    if job.recipe.patience is not None:
        lines += [
            "        if validation_loss < best_loss:",
            f"            best_loss, best_epoch, best = validation_loss, epoch, copy.deepcopy({model})",
            f"        if epoch - best_epoch >= {job.recipe.patience}:",
            "            break",
        ]
    return lines


def _main_lines(job: Job, seed: int) -> list[str]:
    double = job.dtype == "float64"
    recipe = job.recipe
    start = ["    model = build_model()", "    init_weights(model, args.seed)"]
    if recipe.init == "lsuv":
        start += [
            '    rows = torch.from_numpy(epoch_order(args.seed, 0, len(data["x_train"]))[:256])',
            '    scale_to_unit_variance(model, data["x_train"][rows])',
        ]
    if double:
        start += [
            "    model = model.double()",
            "    data = {name: a.double() if a.is_floating_point() else a for name, a in data.items()}",
        ]
    label = metric_label(job.task.metric)
    return [
        "def main():",
        "    here = Path(__file__).resolve().parent",
        "    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])",
        f'    parser.add_argument("--seed", type=int, default={seed}, help="default: %(default)s")',
        '    parser.add_argument("--out", default=here / "predictions.npz", help="file for the test outputs")',
        "    args = parser.parse_args()",
        "",
        '    with np.load(here / "data.npz") as arrays:',
        "        data = {name: torch.from_numpy(arrays[name]) for name in arrays.files}",
        *start,
        "    model = train(model, data, args.seed)",
        '    for split in ("validation", "test"):',
        '        if len(data[f"x_{split}"]):',
        '            out = predict(model, data[f"x_{split}"])',
        '            if split == "validation":',
        """                print(f"validation loss: {float(loss_of(out, data['y_validation'])):.6g}")""",
        f"            print(f\"{{split}} {label}: {{score(out.numpy(), data[f'y_{{split}}'].numpy()):.6g}}\")",
        '    outputs = predict(model, data["x_test"]).numpy()  # before softmax or sigmoid',
        '    np.savez(args.out, outputs=outputs, y=data["y_test"].numpy())',
    ]
