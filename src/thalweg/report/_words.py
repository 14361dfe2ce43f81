"""How numbers, recipes and intervals are put into words: the same in the terminal and on the page."""

from __future__ import annotations

import dataclasses
import math
import shlex
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from thalweg.core import Interval, format_together
from thalweg.population import Pace, Plan, Scores
from thalweg.recipes import Axis, Recipe, format_value
from thalweg.search import AxisEffect, Fate, Tuning
from thalweg.tasks import METRICS, Task

if TYPE_CHECKING:
    from thalweg.workflows import TrainResult, TuneResult

_LABELS = {"mse": "mean squared error", "rmse": "root mean squared error", "mae": "mean absolute error", "r2": "R2"}
_UNITS = {"target": "in the unit of the target", "target squared": "in the unit of the target, squared"}

#: what each file of a run holds
FILES = {
    "recipe.toml": "the recipe, every field",
    "runner_up.toml": "the runner-up",
    "model.safetensors": "weights of the model (a torch state_dict)",
    "train.py": "plain PyTorch that trains that seed again, without this package",
    "data.npz": "the prepared rows that train.py reads",
    "loop.py": "the training loop, plain PyTorch that does not tell its fault",
    "loop.safetensors": "the weights that loop.py starts from",
    "arrays.npz": "the arrays behind the figures",
    "report.html": "this result with its figures; opens in any browser, also offline",
    "result.json": "this result as data",
    "result.partial.json": "what is known so far, as data",
    "history.parquet": "every evaluation of every member",
}


def is_share(metric: str) -> bool:
    """Returns whether a metric is a share of rows, shown as a percentage."""
    return metric.endswith("accuracy")


def metric_label(metric: str) -> str:
    """Returns the name of a metric as a person says it."""
    return _LABELS.get(metric, metric.replace("_", " "))


def metric_line(metric: str) -> str:
    """Returns the name of a metric with its unit and its good direction."""
    known = METRICS[metric]
    unit = "in nats" if metric == "log_loss" else _UNITS.get(known.unit, "")
    parts = [metric_label(metric), unit, "higher is better" if known.higher_is_better else "lower is better"]
    return ", ".join(part for part in parts if part)


def show_numbers(metric: str, numbers: Sequence[float], *, points: bool = False) -> list[str]:
    """Returns scores as text with as many decimals as their spread needs; shares as percentages.

    Args:
        metric: Of the scores.
        numbers: Finite ones set the decimals; the others are shown as "unknown".
        points: Differences of shares, in percentage points.
    """
    scale = 100.0 if is_share(metric) else 1.0
    finite = [scale * n for n in numbers if math.isfinite(n)]
    if is_share(metric):
        half = (max(finite) - min(finite)) / 2 if finite else 0.0
        decimals = 2 if 0 < half < 0.1 else 1
        texts = [f"{round(n, decimals) + 0.0:.{decimals}f}" + ("" if points else "%") for n in finite]
    else:
        texts = format_together(*finite) if finite else []
    found = iter(texts)
    return [next(found) if math.isfinite(n) else "unknown" for n in numbers]


def show_score(metric: str, value: float) -> str:
    """Returns one score as text."""
    return show_numbers(metric, [value])[0]


def cut_to_share(metric: str, interval: Interval) -> Interval:
    """Returns the interval without what no share can be: Student's t knows nothing of 0% and 100%."""
    if not (is_share(metric) and interval.bounded):
        return interval
    return dataclasses.replace(interval, low=max(interval.low, 0.0), high=min(interval.high, 1.0))


def show_range(metric: str, interval: Interval) -> str:
    """Returns the ends of an interval, or why there are none; it says so where an end was cut to 0% or 100%."""
    whole, interval = interval, cut_to_share(metric, interval)
    cut = " (cut)" if (whole.low, whole.high) != (interval.low, interval.high) else ""
    _, low, high = show_numbers(metric, [interval.mean, interval.low, interval.high])
    if not math.isfinite(interval.low) and not math.isfinite(interval.high):
        return f"unknown ({_why_unknown(interval)})"
    if interval.low == interval.high:
        return f"{low} (all seeds alike)"
    return f"{low} to {high}{cut}"


def _why_unknown(interval: Interval) -> str:
    if interval.seeds == 1:
        return "one seed cannot tell"
    return "too few seeds that are all alike"


def interval_rows(scores: Scores) -> list[tuple[str, str, Interval]]:
    """Returns (short label, question, interval) for the three intervals of a score."""
    short, question = "rows included", "more seeds, also on other rows"
    if len(scores.seeds) == 1:
        short, question = "this seed, other rows", "this one seed on other rows"
    return [
        ("mean over seeds", "more seeds on these rows", scores.over_seeds),
        (short, question, scores.over_rows),
        ("one new run", "one new run on these rows", scores.next_run),
    ]


def toml_value(name: str, value: Any) -> str:
    """Returns one field's value as TOML."""
    import tomli_w

    if value is None:
        value = format_value(name, None)
    elif isinstance(value, tuple):
        return "[" + ", ".join(str(v) for v in value) + "]"
    return tomli_w.dumps({"x": value}).split(" = ", 1)[1].strip()


def shown_fields(recipe: Recipe, base: Recipe, axes: Iterable[Axis]) -> list[str]:
    """Returns the fields that were varied or differ from the start, in the order of the recipe."""
    varied = {axis.field for axis in axes}
    differing = recipe.differing(base)
    return [f.name for f in dataclasses.fields(recipe) if f.name in varied or f.name in differing]


def read_fields(recipe: Recipe) -> list[str]:
    """Returns the fields that a recipe reads, beside its defaults that do nothing."""
    from thalweg.optim import RULES, SCHEDULES

    names = ["model", "init", "optimizer", "lr", "schedule", "batch_size", "epochs"]
    if recipe.model != "linear":
        names += ["widths", "activation", "norm", "dropout"]
    names += [name for name in RULES[recipe.optimizer].hyper if name != "seed"]
    names += SCHEDULES[recipe.schedule].hyper
    plain = Recipe()
    names += [f.name for f in dataclasses.fields(recipe) if getattr(recipe, f.name) != getattr(plain, f.name)]
    wanted = set(names)
    if recipe.model == "linear":
        wanted -= {"widths"}
    return [f.name for f in dataclasses.fields(recipe) if f.name in wanted]


def by_importance(effects: Iterable[AxisEffect]) -> list[AxisEffect]:
    """Returns the effects that stand out first, the larger before the smaller."""

    def key(effect: AxisEffect) -> tuple[int, float]:
        if effect.effect is None:
            return (2, 0.0)
        return (0 if effect.effect.excludes(0) else 1, -abs(effect.effect.mean))

    return sorted(effects, key=key)


def effect_unit(metric: str, epochs: int) -> str:
    """Returns what the scores in the sentences on axes are."""
    text = f"score: validation {metric_label(metric)} after {count(epochs, 'epoch')} of the screening"
    return text + ("; 0.01 is one percentage point" if is_share(metric) else "")


def count(num: int, noun: str) -> str:
    """Returns a number with its noun.

    Example:
        >>> count(1, "epoch"), count(1200, "step")
        ('1 epoch', '1,200 steps')
    """
    return f"{num:,} {noun}{'' if num == 1 else 's'}"


def show_device(plan: Plan) -> str:
    """Returns where a run trains, and in which precision.

    Example:
        >>> show_device(Plan(threads=2)), show_device(Plan(cluster="local"))
        ('CPU with 2 threads, float32', 'workers of one CPU core each on the Ray cluster local, float32')
    """
    where = f"CPU with {count(plan.threads, 'thread')}" if plan.device == "cpu" else plan.device.upper()
    if plan.cluster is not None:
        unit = "CPU core" if plan.device == "cpu" else "GPU"
        where = f"workers of one {unit} each on the Ray cluster {plan.cluster}"
    return f"{where}, {plan.precision}"


def show_seconds(seconds: float) -> str:
    """Returns a duration as a person says it.

    Example:
        >>> show_seconds(4.21), show_seconds(200)
        ('4.2 s', '3 min 20 s')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def steps_of(task: Task, recipe: Recipe) -> str:
    """Returns the length of a run in words."""
    pace = Pace.of(recipe, len(task.train))
    return f"{count(recipe.epochs, 'epoch')} of {count(pace.steps_per_epoch, 'step')}"


def compare_runner_up(found: Any, metric: str) -> str:
    """Returns how the recommended recipe and the runner-up compare, in one or two sentences."""
    difference = found.difference
    if difference is None:
        return "They were not compared on common seeds."
    sign = 1 if METRICS[metric].higher_is_better else -1
    if difference.mean == 0 and difference.low == difference.high:
        return f"On the same {count(difference.seeds or 0, 'seed')} both score alike: they cannot be told apart."
    ends = sorted([sign * difference.low, sign * difference.high])
    mean, low, high = show_numbers(metric, [sign * difference.mean, *ends], points=True)
    unit = " percentage points" if is_share(metric) else ""
    if math.isfinite(ends[0]) and math.isfinite(ends[1]):
        interval = f"{100 * difference.level:g}% interval {low} to {high}"
    else:
        interval = f"no {100 * difference.level:g}% interval: {_why_unknown(difference)}"
    word = "better" if sign * difference.mean >= 0 else "worse"
    size = mean.lstrip("-")
    text = (
        f"On the same {count(difference.seeds or 0, 'seed')} the recommended recipe is {size}{unit} {word} "
        f"on average ({interval}{', above 0 is in its favour' if math.isfinite(ends[0]) else ''})."
    )
    if difference.told_apart:
        return f"{text} They can be told apart."
    if found.seeds_to_tell is None:
        return f"{text} They cannot be told apart."
    return f"{text} They cannot be told apart; about {count(found.seeds_to_tell, 'seed')} would be needed."


#: what members with a symptom have, after their number
_FATES = {
    "diverged": "diverged (the loss stopped being finite; stopped there, without a score)",
    "dead_units": "ended with dead units (40% of a layer or more gets no gradient)",
    "saturated": "ended saturated (most slopes of a layer are below 5% of its steepest)",
    "vanishing_gradients": "ended with vanishing gradients (the first layer gets less than 1/1000 of the last)",
    "loss_rose": "ended with a higher training loss than they began with",
    "hardly_moved": "hardly moved (their loss fell by less than 5% of what the best one's fell)",
    "overfitting": "overfitted (the validation loss rose by a quarter or more while the training loss fell)",
}


def fate_words(fates: Sequence[Fate], noun: str) -> list[str]:
    """Returns what became of members, one sentence a symptom; that none diverged is said too.

    Args:
        fates: What was found.
        noun: What the members are.

    Example:
        >>> fate_words([Fate(symptom="dead_units", members=(3, 4), of=10, since=64.0)], "seeds")
        ['2 of the 10 seeds ended with dead units (40% of a layer or more gets no gradient), since step 64.']
    """
    return [_fate_sentence(fate, noun) for fate in fates]


def _fate_sentence(fate: Fate, noun: str) -> str:
    num = len(fate.members)
    text = f"{num:,} of the {fate.of:,} {noun} {_FATES[fate.symptom]}"
    if fate.since is not None:
        word = "at" if fate.symptom == "diverged" else "since"
        text += f", {word} step {fate.since:,.0f}{' (median)' if num > 2 else ''}"
    split = fate.split
    if split is None:
        return f"{text}."
    inside, all_inside = split.inside
    which = "all of them" if inside == num else f"{inside:,} of these"
    return f"{text}: {which} among the {all_inside:,} with {split.condition}."


def screening_words(found: Tuning) -> list[str]:
    """Returns what became of the screened recipes, in sentences, the last one on those that have no symptom."""
    told = fate_words(found.fates, "screened recipes")
    num = len(found.screened)
    judged = found.fates[0].of if found.fates else num
    rest = judged - sum(len(fate.members) for fate in found.fates)
    if not any(fate.symptom == "diverged" for fate in found.fates):
        told.insert(0, f"None of the {num:,} screened recipes diverged.")
    if found.fates:
        told.append(f"Of the other {rest:,} no such fault is known.")
    return told


def seed_words(result: TrainResult) -> list[str]:
    """Returns what became of the seeds of a training, but for those that diverged, which are told by number."""
    return fate_words([fate for fate in result.fates if fate.symptom != "diverged"], "seeds")


def where_diverged(found: Tuning, effect: AxisEffect) -> list[str]:
    """Returns where members diverged along an axis, in a sentence, unless their fate names that axis."""
    named = {fate.split.axis for fate in found.fates if fate.symptom == "diverged" and fate.split is not None}
    return [f"Where it diverged: {effect.diverges}."] if effect.diverges and effect.axis not in named else []


def missing_part(result: Any) -> str:
    """Returns what an interrupted or unconfirmed search lacks, or an empty text."""
    found = result.tuning
    metric = result.task.metric
    if found.test is not None:
        return ""
    flatter = (
        f"Its screening score, {show_score(metric, found.screening_score)} validation {metric_label(metric)}, is the "
        "one that made it win among many, so it flatters."
    )
    if result.complete:
        return f"Fewer than 2 of its confirmation seeds ran through, so there is no score to report. {flatter}"
    stage = "confirmation" in result.history and "the confirmation on fresh seeds"
    chosen = any(name.startswith("choice") for name in result.history)
    stage = stage or (chosen and "the comparison of the finalists on fresh seeds")
    stage = stage or "the screening"
    after = {
        "the screening": "the finalists were not compared, nothing is confirmed on fresh seeds",
        "the comparison of the finalists on fresh seeds": "nothing is confirmed on fresh seeds",
    }.get(stage, "the recipe is chosen, but has no fair score yet")
    return f"The run was interrupted during {stage}: {after} and the test rows stay closed. {flatter}"


def doctor_words(result: TuneResult | TrainResult) -> tuple[str, list[str]]:
    """Returns what the doctor saw in the loop of `train.py`, in one sentence, and findings, the likeliest first.

    Args:
        result: What `tune` or `train` returned; the sentence is empty where there is no loop to look at.
    """
    diagnosis = result.diagnosis
    if diagnosis is None:
        if result.run is None or not (result.run / "train.py").exists():
            return "", []
        command = f"thalweg doctor {shlex.quote(str(result.run))}"
        return f"The doctor did not look at the loop of train.py, which is long. To look at it: {command}", []
    loop = f"{count(diagnosis.num_steps, 'step')} of seed {result.script_seed}"
    if not diagnosis.findings:
        return f"The doctor found nothing wrong in the {loop}.", []
    found = [" ".join([each.says, *each.evidence[:1]]) for each in diagnosis.findings[:3]]
    proof = "" if result.run is None else f" To prove what mends it: thalweg doctor {shlex.quote(str(result.run))}"
    return f"The doctor found this in the {loop}.{proof}", found
