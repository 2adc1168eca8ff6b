"""`watchkeeper db`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from watchkeeper.daemon.cli.common import globals_of, load
from watchkeeper.daemon.cli.outcome import Refused, Unavailable
from watchkeeper.daemon.cli.output import Output, output_option, show_facts


@click.group("db")
def command() -> None:
    """Bring the database to the newest layout."""


@command.command("upgrade")
@click.pass_context
def upgrade(ctx: click.Context) -> None:
    """Create the tables, or bring them to the newest layout."""
    url = load(globals_of(ctx)).config.database.url
    from watchkeeper.daemon.storage import migrate

    with _reported(url):
        if url.startswith("sqlite:///"):
            folder = Path(url.removeprefix("sqlite:///")).parent
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        click.echo(f"layout {migrate.upgrade(url)}")


@command.command("current")
@output_option
@click.pass_context
def current(ctx: click.Context, output: Output) -> None:
    """Show the layout of the database. Ends with 1 when it is not the newest."""
    url = load(globals_of(ctx)).config.database.url
    from watchkeeper.daemon.config.secrets import masked
    from watchkeeper.daemon.storage import migrate

    if url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).exists():
        raise Refused(f"no database {masked(url)}: `watchkeeper db upgrade` makes it")
    with _reported(url):
        here, newest = migrate.current(url), migrate.head()
    show_facts({"database": masked(url), "layout": here, "newest": newest}, output)
    if here != newest:
        raise Refused("not the newest layout: `watchkeeper db upgrade`")


@contextmanager
def _reported(url: str) -> Iterator[None]:
    """Faults of the database as one line."""
    from watchkeeper.daemon.config.secrets import masked
    from watchkeeper.daemon.storage.faults import DatabaseFault, StorageError

    try:
        yield
    except (DatabaseFault, StorageError, OSError) as error:
        reason = str(error).partition("\n")[0]
        raise Unavailable(f"database {masked(url)}: {reason}") from error
