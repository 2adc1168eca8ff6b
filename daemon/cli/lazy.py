"""A group of commands that knows its commands' names and first lines without importing them."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple

import click


class Later(NamedTuple):
    """A command to be imported when it is called: `module` holds it under the name `command`."""

    module: str
    help: str


class LazyGroup(click.Group):
    """`--help` lists the commands from the table; calling one imports it."""

    def __init__(self, *args: Any, later: Mapping[str, Later], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.later = later

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of the table."""
        return list(self.later)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports the command; None where there is none, so that click can say so."""
        if cmd_name not in self.later:
            return None
        command = import_module(self.later[cmd_name].module).command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, from the table."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, each.help) for name, each in self.later.items()])
