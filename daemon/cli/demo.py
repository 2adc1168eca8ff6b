"""`watchkeeper demo`."""

from __future__ import annotations

import click


@click.command("demo")
@click.option("--headless", is_flag=True, help="No live table and no console: the story only.")
@click.option("--json", "as_json", is_flag=True, help="End with the score card as one JSON line.")
@click.option(
    "--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Other traffic."
)
@click.option("--yes", is_flag=True, help="Approve the rollback without asking.")
@click.option("--kafka", metavar="HOST:PORT", help="Send everything through a real broker.")
@click.option(
    "--speed",
    type=click.FloatRange(min=0, min_open=True),
    help="Seconds of the fleet's time in one of ours. Default: as fast as this host can.",
)
@click.pass_context
def command(
    ctx: click.Context,
    headless: bool,
    as_json: bool,
    seed: int,
    yes: bool,
    kafka: str | None,
    speed: float | None,
) -> None:
    """Watch a simulated fleet: no Kafka, nothing to configure.

    Four models, five faults of different kinds, and one harmless change that must not page.
    """
    from watchkeeper.daemon.demo import DemoOptions, run_demo

    options = DemoOptions(
        headless=headless, json=as_json, seed=seed, yes=yes, kafka=kafka, speed=speed
    )
    ctx.exit(run_demo(options))
