"""`thalweg show`."""

from __future__ import annotations

import json

import click


@click.command("show")
@click.argument("run")
@click.option("--json", "as_json", is_flag=True, help="Print the result as the JSON object that the run printed.")
def command(run: str, as_json: bool) -> int:
    """Show what RUN, a run folder, found."""
    from thalweg.workflows import open_result

    found = open_result(run)
    click.echo(json.dumps(found.result) if as_json else found.text)
    return 0
