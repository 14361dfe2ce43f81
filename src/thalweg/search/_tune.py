"""Which recipe? Screen many, keep the better ones, choose on fresh seeds, confirm on others, open the test set once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np

from thalweg.core import (
    PairedDifference,
    paired_difference,
)
from thalweg.population import (
    Budget,
    Company,
    Pace,
    Plan,
    Population,
    Scores,
    Session,
    check_memory,
    check_recipes,
    halving_rungs,
    make_plan,
    most_in_memory,
    rank,
    run_halving,
    score_members,
    split_brackets,
)
from thalweg.recipes import Axis, Member, Recipe, format_value, sample_recipes
from thalweg.search._effects import AxisColumn, AxisEffect, axis_effects
from thalweg.search._fates import Fate, find_fates
from thalweg.search._forecast import forecast_search
from thalweg.search._size import Size, size_search
from thalweg.search._stages import (
    BRACKET,
    DEFAULT_ELSEWHERE,
    DEFAULT_SCREENED,
    SAMPLE,
    bracket_finalists,
    choice_heats,
    search_stages,
    watch_screening,
)
from thalweg.tasks import METRICS, Task

#: seeds of the stages, counted from the run's own seed: no seed serves two stages
_CHOICE_FROM = 1
_CONFIRMATION_FROM = 101


@dataclass(frozen=True, kw_only=True)
class Diverged:
    """A member whose loss stopped being finite.

    Args:
        member: Place in the screening. step: the step at which it happened. recipe: what varied, as text.
    """

    member: int
    step: int
    recipe: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """What a search found. Where it was interrupted, the later parts are None.

    Args:
        axes: What varied.
        size: How large the search was.
        screened: The recipes, in order.
        first_scores: Validation score of each at the first rung, NaN where it diverged.
        first_epochs: Length of the first rung.
        effects: What mattered, one for each axis, from the first rung.
        diverged: Members of the screening that diverged.
        fates: What became of the members of the screening, by symptom.
        recommended: The recipe.
        screening_score: Its validation score in the screening: the one that made it win, so it flatters.
        validation: On fresh seeds.
        test: On the test rows, opened once.
        runner_up: The second recipe, where there is one.
        runner_up_validation: Its scores on the same seeds.
        difference: Recommended minus runner-up in validation score, paired by seed.
        seeds_to_tell: Seeds that would tell them apart, where they are not.
    """

    axes: tuple[Axis, ...]
    size: Size
    screened: tuple[Recipe, ...]
    first_scores: tuple[float, ...]
    first_epochs: int
    effects: tuple[AxisEffect, ...]
    diverged: tuple[Diverged, ...]
    recommended: Recipe
    screening_score: float
    fates: tuple[Fate, ...] = ()
    validation: Scores | None = None
    test: Scores | None = None
    runner_up: Recipe | None = None
    runner_up_validation: Scores | None = None
    difference: PairedDifference | None = None
    seeds_to_tell: int | None = None
    notes: tuple[str, ...] = field(default=())


@dataclass(frozen=True, kw_only=True)
class SearchPlan:
    """A search before it runs.

    Args:
        size: How large it is.
        plan: How members run.
        recipes: What is screened.
        epochs: The longest that any of them trains.
    """

    size: Size
    plan: Plan
    recipes: tuple[Recipe, ...]
    epochs: int


def plan_search(
    task: Task, base: Recipe, axes: Sequence[Axis], *, budget: Budget, seeds: int, seed: int, plan: Plan
) -> SearchPlan:
    """Returns how a search will run, once every recipe of it is known to fit the task and the memory.

    Args:
        task: What is optimised.
        base: The recipe whose other fields stay.
        axes: What varies.
        budget: What may be spent.
        seeds: Fresh seeds of the confirmation.
        seed: Of the search.
        plan: The settings of the members; their programs are chosen where it leaves them open.

    Raises:
        InputError: where recipe, axes or budget do not fit the task, or the search does not fit into the memory.
    """

    @cache
    def draw(num: int) -> list[Recipe]:
        return sample_recipes(base, axes, num, seed)

    sample = draw(SAMPLE)
    check_recipes(task, sample, plan)
    epochs = max(recipe.epochs for recipe in sample)
    per_epoch = float(np.mean([Pace.of(recipe, len(task.train.rows)).steps_per_epoch for recipe in sample]))
    # a small search, since how large it will be depends on who runs it
    stages = search_stages(axes, min(DEFAULT_ELSEWHERE, len(sample)), epochs, seeds)
    companies = [
        Company(
            recipes=[recipe for recipe in sample[: stage.recipes] for _ in range(stage.seeds)],
            steps=per_epoch * stage.recipes * stage.seeds * (stage.last - stage.first),
        )
        for stage in stages
    ]
    companies[0] = replace(companies[0], recipes=sample)  # every structure of the space is met
    plan = make_plan(task, companies, plan)
    by_kernel = plan.program_for(task, base)[0] == "kernel"
    size = size_search(
        task,
        axes,
        draw,
        budget=budget,
        seeds=seeds,
        default=DEFAULT_SCREENED[base.model] if by_kernel else DEFAULT_ELSEWHERE,
        forecast=lambda: forecast_search(task, axes, sample, plan, seeds=seeds),
        most=lambda: most_in_memory(task, sample, plan),
    )
    recipes = draw(size.screened)
    check_memory(task, recipes, plan, remedy="Screen fewer with --budget, or take smaller widths.")
    check_recipes(task, list(set(recipes) - set(sample)), plan)
    return SearchPlan(size=size, plan=plan, recipes=tuple(recipes), epochs=epochs)


def search(session: Session, base: Recipe, axes: Sequence[Axis], *, size: Size, seeds: int, seed: int) -> Tuning | None:
    """Runs the whole search; returns None where it was cancelled before anything is known.

    Screening: recipes are drawn evenly over the axes and trained on one seed by successive halving, in brackets.
    Choice: the finalists are trained on three fresh seeds, the third of them that leads on four more, until three are
    left. Confirmation: the two that lead are trained on other fresh seeds, and only these give the scores that are
    reported. Then the test rows are opened, once.

    Args:
        session: Task, plan, control and folder.
        base: The recipe whose other fields stay.
        axes: What varies.
        size: What `plan_search` found.
        seeds: Fresh seeds of the confirmation, >= 2.
        seed: Of the search: the space, the screening stream, and the start of the other seeds.
    """
    session.announce(size.steps)
    higher = METRICS[session.task.metric].higher_is_better
    recipes = sample_recipes(base, axes, size.screened, seed)

    longest = max(recipe.epochs for recipe in recipes)
    watching = watch_screening(session.task, axes, recipes, longest, steps=size.steps)
    screening = session.open("screening", [Member(recipe=r, seed=seed) for r in recipes], watching=watching)
    brackets = split_brackets(len(recipes), size=BRACKET)
    per_bracket = bracket_finalists(axes, brackets[0])
    first_rung = halving_rungs(len(brackets[0]), longest, finalists=per_bracket)[0].epochs
    survivors = run_halving(session, "screening", brackets, longest, finalists=per_bracket, higher_is_better=higher)
    ranked = survivors or _best_so_far(screening, higher_is_better=higher)
    if not ranked:
        return None
    first = _first_scores(screening, first_rung)
    last = screening.standing(ranked[0])
    found = Tuning(
        axes=tuple(axes),
        size=size,
        screened=tuple(recipes),
        first_scores=tuple(first.get(n, float("nan")) for n in range(len(recipes))),
        first_epochs=first_rung,
        effects=tuple(_effects(axes, screening, first, higher)),
        diverged=tuple(_diverged(screening, axes)),
        fates=find_fates(screening, _columns(axes), [_values(axes, recipe) for recipe in recipes]),
        recommended=recipes[ranked[0]],
        screening_score=last.validation_score if last is not None else float("nan"),
    )
    if survivors is None:
        return found
    session.close("screening")

    heats = choice_heats(len(recipes))
    finalists = [n for n in survivors if screening.diverged_at(n) is None][: heats[0][0]]
    if not finalists:
        return found
    chosen = _choose(session, [recipes[n] for n in finalists], heats, seed, higher_is_better=higher)
    return found if chosen is None else _confirm(session, found, chosen, seeds, seed)


def _best_so_far(population: Population, *, higher_is_better: bool) -> list[int]:
    """Returns the members that were evaluated: those that came furthest first, best first among them."""
    epochs = {n: r.epoch for n in range(len(population)) if (r := population.last_record(n)) is not None}
    ranked = rank(population, list(epochs), higher_is_better=higher_is_better)
    return sorted((n for n in ranked if population.diverged_at(n) is None), key=lambda n: -epochs[n])


def _first_scores(population: Population, epochs: int) -> dict[int, float]:
    """Returns member -> score at the first rung, for the members that got there; NaN where it was not finite."""
    scores: dict[int, float] = {}
    for n in range(len(population)):
        record, diverged = population.standing(n, epochs=epochs), population.diverged_at(n)
        if diverged is not None and diverged < epochs * population.pace(n).steps_per_epoch:
            scores[n] = float("nan")
        elif record is not None:
            scores[n] = record.validation_score if math.isfinite(record.validation_score) else float("nan")
    return scores


def _effects(
    axes: Sequence[Axis], population: Population, first: dict[int, float], higher_is_better: bool
) -> list[AxisEffect]:
    values = [_values(axes, population.members[n].recipe) for n in first]
    diverged = [_lost_at(population, n) if math.isnan(score) else None for n, score in first.items()]
    metric = population.task.metric
    return axis_effects(
        _columns(axes), values, list(first.values()), diverged, higher_is_better=higher_is_better, metric=metric
    )


def _columns(axes: Sequence[Axis]) -> list[AxisColumn]:
    return [
        AxisColumn(
            name=axis.field,
            scale="choice" if axis.values else "log" if axis.scale == "log" else "linear",
            given=axis.given,
        )
        for axis in axes
    ]


def _values(axes: Sequence[Axis], recipe: Recipe) -> dict[str, Any]:
    """Returns the values of a recipe on the axes, choices as text."""
    found = {axis.field: getattr(recipe, axis.field) for axis in axes}
    return found | {axis.field: format_value(axis.field, found[axis.field]) for axis in axes if axis.values}


def _lost_at(population: Population, number: int) -> int:
    """Returns the step at which a member's loss stopped being finite, or its score was not finite any more."""
    step = population.diverged_at(number)
    return population.step(number) if step is None else step


def _diverged(population: Population, axes: Sequence[Axis]) -> list[Diverged]:
    found = []
    for n in range(len(population)):
        step = population.diverged_at(n)
        if step is not None:
            recipe = population.members[n].recipe
            text = {axis.field: format_value(axis.field, getattr(recipe, axis.field)) for axis in axes}
            found.append(Diverged(member=n, step=step, recipe=text))
    return found


def _choose(
    session: Session,
    recipes: list[Recipe],
    heats: Sequence[tuple[int, int]],
    seed: int,
    *,
    higher_is_better: bool,
) -> list[Recipe] | None:
    """Returns the finalists from best to worst by their mean validation score on fresh seeds, in heats.

    Of a later heat are those that lead after the one before; they are ranked by their mean over all. None where
    cancelled.
    """
    scores: dict[Recipe, list[float]] = {recipe: [] for recipe in recipes}
    ranked, first = recipes, seed + _CHOICE_FROM
    for heat, (num, seeds) in enumerate(heats, start=1):
        running = ranked[:num]
        members = [Member(recipe=recipe, seed=first + k) for recipe in running for k in range(seeds)]
        population = session.open(f"choice-{heat}", members, session.plan.in_full_precision())
        if not session.run(f"choice-{heat}"):
            return None
        session.close(f"choice-{heat}", keep=range(len(members)))
        for n, member in enumerate(members):
            scores[member.recipe].append(_final_score(population, n))
        means = {recipe: float(np.mean(scores[recipe])) for recipe in running}
        first += seeds
        leading = sorted(running, key=lambda r: _order_of(means[r], higher_is_better))
        ranked = leading + ranked[num:]
    return ranked


def _order_of(score: float, higher_is_better: bool) -> float:
    """Returns a number that sorts the best score first and a score that is not finite last."""
    if not math.isfinite(score):
        return math.inf
    return -score if higher_is_better else score


def _final_score(population: Population, number: int) -> float:
    """Returns the validation score of a finished member with the state it predicts with; NaN where it diverged."""
    if population.diverged_at(number) is not None:
        return float("nan")
    split = population.task.validation
    return population.score(population.outputs([number], split.x)[0], split.y)


def _confirm(session: Session, found: Tuning, chosen: list[Recipe], seeds: int, seed: int) -> Tuning:
    """Trains the two leading recipes on seeds that chose nothing, scores them, and opens the test rows once."""
    pair = chosen[:2]
    found = replace(found, recommended=pair[0], runner_up=pair[1] if len(pair) > 1 else None)
    fresh = [seed + _CONFIRMATION_FROM + k for k in range(seeds)]
    members = [Member(recipe=r, seed=s) for r in pair for s in fresh]
    population = session.open("confirmation", members, session.plan.in_full_precision())
    if not session.run("confirmation"):
        return found
    session.close("confirmation", keep=range(len(population)))
    finite = [
        [n for n in range(k * seeds, (k + 1) * seeds) if math.isfinite(_final_score(population, n))]
        for k in range(len(pair))
    ]
    scores = [score_members(population, part, "validation") if len(part) >= 2 else None for part in finite]
    notes = []
    difference = _paired(scores)
    if difference is not None and difference.told_apart:
        higher = METRICS[population.task.metric].higher_is_better
        if (difference.mean > 0) != higher:
            notes.append(
                "The recipe that led before the confirmation did worse there, and the two can be told apart: so they "
                "have changed places. The validation scores took part in that decision; the test scores did not."
            )
            pair, finite, scores = pair[::-1], finite[::-1], scores[::-1]
            difference = _paired(scores)
    for part, which in zip(finite, ("recommended recipe", "runner-up"), strict=False):
        if len(part) < seeds:
            lost = f"{seeds - len(part)} of {seeds} confirmation seeds"
            notes.append(f"{lost} of the {which} diverged or have no finite score; its scores are of the others.")
    found = replace(
        found,
        recommended=pair[0],
        runner_up=pair[1] if len(pair) > 1 else None,
        validation=scores[0],
        runner_up_validation=scores[1] if len(scores) > 1 else None,
        difference=difference,
        seeds_to_tell=None if difference is None or difference.told_apart else difference.needed,
        notes=tuple(notes),
    )
    if scores[0] is None:
        return found
    session.log("test opened", members=len(finite[0]))
    return replace(found, test=score_members(population, finite[0], "test"))


def _common_values(scores: Sequence[Scores | None]) -> tuple[list[float], list[float]]:
    """Returns the scores of two recipes on the seeds that both finished."""
    if len(scores) < 2 or scores[0] is None or scores[1] is None:
        return [], []
    first, second = (dict(zip(s.seeds, s.values, strict=True)) for s in (scores[0], scores[1]))
    common = sorted(first.keys() & second.keys())
    return [first[s] for s in common], [second[s] for s in common]


def _paired(scores: Sequence[Scores | None]) -> PairedDifference | None:
    mine, theirs = _common_values(scores)
    return paired_difference(mine, theirs) if len(mine) >= 2 else None
