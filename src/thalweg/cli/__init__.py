"""The command line: parse, call, show."""

from thalweg.cli._main import main

__all__ = ["main"]
