"""What commands print: tables for people, JSON for programs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click

from watchkeeper.daemon.plain import plain

if TYPE_CHECKING:
    from rich.table import Table

Output = Literal["table", "json"]
F = TypeVar("F", bound=Callable[..., Any])


def output_option(command: F) -> F:
    """`-o table|json`."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice(["table", "json"]),
        default="table",
        envvar="WATCHKEEPER_OUTPUT",
        show_default=True,
        help="A table for people, or JSON for programs.",
    )(command)


def show_json(value: object) -> None:
    """Any value of ours as JSON, indented, with a line end."""
    import msgspec

    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def show_rows(
    rows: Sequence[Mapping[str, object]], columns: Sequence[str], output: Output, empty: str
) -> None:
    """Rows as a table of the columns, or as a JSON list of all they hold."""
    if output == "json":
        show_json(rows)
        return
    if not rows:
        click.echo(empty)
        return
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell(row.get(column))) for column in columns))
    _print(table)


def show_facts(facts: Mapping[str, object], output: Output) -> None:
    """One thing: a line a fact, or a JSON object."""
    if output == "json":
        show_json(facts)
        return
    width = max(map(len, facts), default=0)
    for name, value in facts.items():
        lines = cell(value).split("\n")
        click.echo(f"{name.replace('_', ' '):<{width}}  {lines[0]}")
        for line in lines[1:]:
            click.echo(" " * (width + 2) + line)


def _print(table: Table) -> None:
    import shutil

    from rich.console import Console

    # in a pipe nothing wraps: a line a row is what grep and awk want
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 400
    Console(width=width).print(table)


def cell(value: object) -> str:
    """A value for people; what came from outside cannot move the cursor."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return "\n".join(plain(str(each)) for each in value) or "-"
    return plain(str(value))


def moment(at: float | None) -> str | None:
    """Seconds since the epoch as people write it, in UTC."""
    if at is None:
        return None
    from datetime import UTC, datetime

    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
