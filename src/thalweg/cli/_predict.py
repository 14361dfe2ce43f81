"""`thalweg predict`."""

from __future__ import annotations

import json

import click


@click.command("predict")
@click.argument("run")
@click.argument("data")
@click.option("--out", metavar="FILE", help="CSV or Parquet file to write. Default: CSV on stdout.")
@click.option("--json", "as_json", is_flag=True, help="Print the predictions as one JSON object.")
def command(run: str, data: str, out: str | None, as_json: bool) -> int:
    """Predict the rows of DATA, a file with the columns of the training data, with the model of RUN.

    Gives one line a row: the prediction and, for classes, the probability of each.
    """
    from thalweg.core import InputError
    from thalweg.workflows import predict

    if out is not None and as_json:
        raise InputError("--json", "left out with --out", remedy="A file is CSV or Parquet, by its ending.")
    predictions = predict(run, data)
    for note in predictions.notes:
        click.echo(note, err=True)
    if out is not None:
        predictions.write(out)
        click.echo(f"{len(predictions)} rows predicted; written to {out}.", err=True)
    elif as_json:
        click.echo(json.dumps(predictions.to_json()))
    else:
        click.echo(predictions.to_csv(), nl=False)
    return 0
