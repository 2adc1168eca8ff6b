"""`watchkeeper run`."""

from __future__ import annotations

import click

from watchkeeper.daemon import packages
from watchkeeper.daemon.cli.common import globals_of, load
from watchkeeper.daemon.cli.outcome import Misconfigured


@click.command("run")
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    help="Processes that share the work. Default: daemon.workers, which is 1.",
)
@click.pass_context
def command(ctx: click.Context, workers: int | None) -> None:
    """Run the daemon.

    Reads events from Kafka until SIGTERM or SIGINT; the second one ends it at once.

    With several workers, one more process begins them, begins them again when they die, and ends
    them. The first one serves /metrics and the rest at web.listen, each further one at the next
    port.
    """
    loaded = load(globals_of(ctx), required=True)
    absent = packages.missing()
    if absent:  # before anything is begun: no restart mends it
        raise Misconfigured(packages.told(absent))
    count = workers or loaded.config.daemon.workers
    if count > 1:
        from watchkeeper.daemon.workers import supervise

        ctx.exit(supervise(loaded.config, count))
    from watchkeeper.daemon.running import run

    ctx.exit(run(loaded.config))
