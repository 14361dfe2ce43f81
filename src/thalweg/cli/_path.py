"""`thalweg path`."""

from __future__ import annotations

from typing import Any

import click

from thalweg.cli._options import data_options, load
from thalweg.cli._progress import controlled, say_at_start
from thalweg.cli._running import run_path, show_result


@click.command("path")
@data_options
@click.option(
    "--alpha",
    default="1",
    show_default=True,
    help="Share of the absolute part: 1 is the lasso, 0 ridge; several, joined by commas.",
)
@click.option(
    "--lambdas",
    default="100",
    show_default=True,
    help="How many strengths; or strengths, the largest first, joined by commas.",
)
@click.option("--folds", default=10, show_default=True, help="Of the cross-validation.")
@click.option("--group", metavar="COLUMN", help="Hold out rows of one group together.")
@click.option(
    "--choose",
    default="min",
    show_default=True,
    help="min: least error; 1se: largest strength within one standard error of it.",
)
@click.option("--unpenalised", metavar="COLUMN", help="Column that is kept in any case; several, joined by commas.")
@click.option("--nonnegative", is_flag=True, help="Keep all coefficients at least 0.")
@click.option(
    "--halves", default=100, show_default=True, help="Random halves of the rows that check the choice; 0 for none."
)
@click.option("--tol", default="1e-6", show_default=True, help="Duality gap to reach, as a share; fast for 1e-3.")
@click.option("--seed", default=0, show_default=True, help="Of folds and halves.")
@click.option("--threads", type=int, help="Cores to use. Default: all.")
@click.option("--out", metavar="FOLDER", help="Run folder to write. Default: a new one under runs/.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def command(
    data: str | None,
    alpha: str,
    lambdas: str,
    folds: int,
    group: str | None,
    choose: str,
    unpenalised: str | None,
    nonnegative: bool,
    halves: int,
    tol: str,
    seed: int,
    threads: int | None,
    out: str | None,
    as_json: bool,
    **options: Any,
) -> int:
    """Choose the penalty of a linear model of DATA, and say which inputs it keeps.

    Lasso, ridge or elastic net: the whole path, cross-validated, every solution with its duality gap. Numbers become
    inputs of variance 1, and every category an input of its own.
    """
    from thalweg.cli._options import plan_of
    from thalweg.linear import PathOptions
    from thalweg.workflows import path

    if group is not None:
        options["groups"] = [group]
    asked = PathOptions(
        alpha=_numbers("--alpha", alpha),
        lambda_=int(lambdas) if lambdas.isdigit() else _numbers("--lambdas", lambdas),
        folds=folds,
        choose=choose,
        unpenalised=tuple(name.strip() for name in unpenalised.split(",")) if unpenalised else (),
        nonnegative=nonnegative,
        halves=halves,
        tol=tol if tol == "fast" else _numbers("--tol", tol)[0],
    )
    plan = plan_of(threads, "cpu", "float32")
    task, source = load(data, **options)
    with controlled("fitting") as control:
        say_at_start(control, task.notes)
        run = run_path(out, f"path-{task.name}")
        result = path(task, asked, group=group, seed=seed, out=run, plan=plan, control=control, source=source)
    return show_result(result, as_json=as_json)


def _numbers(option: str, text: str) -> tuple[float, ...]:
    from thalweg.core import InputError

    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise InputError(option, "a number, or numbers joined by commas", text) from None
