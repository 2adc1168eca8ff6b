"""The reference of all commands, as Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module

import click

from watchkeeper.daemon.cli.root import COMMANDS, cli


def markdown() -> str:
    """A heading and the help text of every command, in the order of `--help`."""
    parts = []
    for name, command in (("", cli), *_commands()):
        full = f"watchkeeper {name}".strip()
        context = click.Context(command, info_name=full, max_content_width=80, terminal_width=80)
        context.help_option_names = ["-h", "--help"]
        parts.append(f"## `{full}`\n\n```text\n{command.get_help(context)}\n```\n")
    return "\n".join(parts)


def _commands() -> Iterator[tuple[str, click.Command]]:
    for name, later in COMMANDS.items():
        command = import_module(later.module).command
        yield name, command
        if isinstance(command, click.Group):
            for inner in command.list_commands(click.Context(command)):
                yield f"{name} {inner}", command.commands[inner]
