"""The options of commands that the daemon has to carry out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def deciding_options(command: F) -> F:
    """`--reason`, `--actor`, `--wait`."""
    options = (
        click.option("--reason", default="", help="Why, for the record."),
        click.option("--actor", default="", help="Who. Default: the user's name."),
        click.option(
            "--wait",
            type=click.FloatRange(0, 3_600),
            default=10.0,
            show_default=True,
            help="Seconds to wait for the daemon's answer; 0 only leaves the command.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command
