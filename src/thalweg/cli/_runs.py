"""`thalweg runs`."""

from __future__ import annotations

import json

import click


@click.command("runs")
@click.argument("folder", default="runs")
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON.")
def command(folder: str, as_json: bool) -> int:
    """List the runs in FOLDER, newest first."""
    from thalweg.workflows import list_runs

    rows = list_runs(folder)
    if as_json:
        click.echo(json.dumps(rows))
    elif not rows:
        click.echo(f"There are no runs in {folder}.")
    else:
        wide = max(len(row["run"]) for row in rows)
        for row in rows:
            click.echo(f"{row['run']:<{wide}}  {row['kind']:<6} {row['state']:<11} {row['headline']}")
    return 0
