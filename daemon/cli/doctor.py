"""`watchkeeper doctor`."""

from __future__ import annotations

import click

from watchkeeper.daemon.cli.common import globals_of, load
from watchkeeper.daemon.cli.output import Output, output_option, show_rows
from watchkeeper.daemon.exit_codes import FAILED


@click.command("doctor")
@output_option
@click.pass_context
def command(ctx: click.Context, output: Output) -> None:
    """Check everything the daemon needs.

    Ends with 1 when something is bad. What is only a warning may stay as it is.
    """
    config = load(globals_of(ctx)).config
    from watchkeeper.daemon.doctor import examine

    found = examine(config)
    rows = [{"check": each.name, "state": each.state, "message": each.message} for each in found]
    show_rows(rows, ("check", "state", "message"), output, "")
    if any(each.state == "bad" for each in found):
        ctx.exit(FAILED)
