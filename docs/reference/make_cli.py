"""Writes docs/reference/cli.md from the command line's own help, so that there is one text."""

from __future__ import annotations

from pathlib import Path

import click

from thalweg.cli._main import cli


def cli_reference() -> str:
    """Returns the page: the help of every command, 100 columns wide."""
    parts = [
        "# Command line\n\nMade from the help by `python docs/reference/make_cli.py`; a test holds the two together.\n"
    ]
    # with the settings that a run has: click keeps the form of --help that it is asked for first
    root = click.Context(cli, info_name="thalweg", terminal_width=100, max_content_width=100, **cli.context_settings)
    parts.append(f"```\n{cli.get_help(root)}\n```\n")
    for name in cli.list_commands(root):
        command = cli.get_command(root, name)
        assert command is not None
        context = click.Context(command, info_name=name, parent=root, terminal_width=100, max_content_width=100)
        parts.append(f"## thalweg {name}\n\n```\n{command.get_help(context)}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    Path(__file__).with_name("cli.md").write_text(cli_reference(), encoding="utf-8")
