"""The `thalweg` command: one file a command, loaded when it is called; no torch for --help."""

from __future__ import annotations

import gc
import importlib
import re
import sys

import click

from thalweg import __version__

#: command -> its sentence; the command itself stands in `_NAME.py`
_COMMANDS = {
    "tune": "Find the recipe to use on some data, with the evidence.",
    "train": "Train one recipe on several seeds, with the intervals of its scores.",
    "study": "Answer one question about how we optimise, by an experiment on some data.",
    "doctor": "Run a training script, say what is wrong with its loop, and prove what mends it.",
    "gallery": "Show a training loop with one planted fault, or ask which fault it has.",
    "landscape": "Draw the loss around a trained network, and measure its curvature and barriers.",
    "path": "Choose the penalty of a linear model, and say which inputs it keeps.",
    "plan": "Say what tune or train would do, how long it takes and what memory it needs.",
    "predict": "Predict new rows with the model of a run.",
    "show": "Show what a run found.",
    "runs": "List the runs in a folder.",
}


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        return importlib.import_module(f"thalweg.cli._{cmd_name}").command

    def resolve_command(self, ctx: click.Context, args: list[str]):
        if args and args[0] not in _COMMANDS and not args[0].startswith("-"):
            from thalweg.core import nearest

            raise click.UsageError(f"there is no command {args[0]!r}. {nearest(args[0], _COMMANDS)}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="thalweg")
@click.option("--debug", is_flag=True, help="Show the trace of an error.")
@click.pass_context
def cli(ctx: click.Context, debug: bool) -> None:
    """Train hundreds of what-ifs of a model as one program, and prove which recipe to use."""
    ctx.obj = {"debug": debug}


def main(args: list[str] | None = None) -> None:
    """Runs the command line; an error that a user can act on is one line on stderr and exit code 2."""
    if args is None:  # a process of our own: while libraries load nothing is garbage, and looking for it took 1 s of 4
        gc.set_threshold(100_000, 50, 100)
    arguments = sys.argv[1:] if args is None else args
    try:
        code = cli.main(args=arguments, prog_name="thalweg", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx is not None else "thalweg"
        said = _one_line(error.format_message()).rstrip(".")
        stop = "" if said.endswith("?") else "."
        click.echo(f"thalweg: {said}{stop} See {command} --help.", err=True)
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        click.echo("thalweg: interrupted.", err=True)
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(0)
    except (ValueError, RuntimeError) as error:
        from thalweg.core import InputError, RunError

        if "--debug" in arguments or not isinstance(error, InputError | RunError):
            raise
        click.echo(f"thalweg: {_in_options(_one_line(str(error)))}", err=True)
        sys.exit(2)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _in_options(text: str) -> str:
    """Returns a remedy that names Python arguments in the words of the command line."""
    text = re.sub(r"\bmissing='(\w+)'", r"--missing \1", text)
    return re.sub(r"\bexclude=\['([^'\s]+)'\]", r"--exclude \1", text)
