"""How commands end: the errors that carry exit codes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import click

from watchkeeper.daemon.exit_codes import FAILED, MISCONFIGURED, TRY_AGAIN, UNAVAILABLE


@dataclass(frozen=True)
class Globals:
    """The options that come before the command."""

    config: Path | None = None
    config_dir: Path | None = None
    overrides: dict[str, str] = field(default_factory=dict)


class Ended(click.ClickException):
    """The command cannot do what was asked; the message says why and what would help."""

    def show(self, file: IO[Any] | None = None) -> None:
        """The message alone, on standard error."""
        click.echo(self.message, err=True)


class Refused(Ended):
    """The answer is no."""

    exit_code = FAILED


class Unavailable(Ended):
    """Something that is needed cannot be reached."""

    exit_code = UNAVAILABLE


class Temporary(Ended):
    """Not now; the same command may work later."""

    exit_code = TRY_AGAIN


class Misconfigured(Ended):
    """The configuration is wrong or missing."""

    exit_code = MISCONFIGURED
