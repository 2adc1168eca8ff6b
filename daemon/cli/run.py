"""`watchkeeper run`."""

from __future__ import annotations

import click

from watchkeeper.daemon.cli.common import globals_of, load


@click.command("run")
@click.pass_context
def command(ctx: click.Context) -> None:
    """Run the daemon.

    Reads events from Kafka until SIGTERM or SIGINT; the second one ends it at once.
    """
    loaded = load(globals_of(ctx), required=True)
    from watchkeeper.daemon.service import run

    ctx.exit(run(loaded.config))
