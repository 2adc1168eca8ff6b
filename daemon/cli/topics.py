"""`watchkeeper topics`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from watchkeeper.daemon.cli.common import globals_of, load
from watchkeeper.daemon.cli.outcome import Unavailable
from watchkeeper.daemon.cli.output import Output, output_option, show_rows

if TYPE_CHECKING:
    from watchkeeper.daemon.config.topics import Topics
    from watchkeeper.daemon.transport.topics import TopicSpec

_DAY_MS = 86_400_000
_KEPT_DAYS = {
    "predictions": 7,
    "labels": 30,
    "logs": 3,
    "metrics": 3,
    "changes": 30,
    "commands": 1,
    "partials": 7,
    "incidents": 30,
    "actions": 30,
}
_REFUSED_DAYS = 14


@click.group("topics")
def command() -> None:
    """Create the Kafka topics."""


@command.command("create")
@click.option(
    "--partitions",
    type=click.IntRange(1, 1_000),
    default=6,
    show_default=True,
    help="Partitions of each topic that is read: the most instances that can share the work.",
)
@output_option
@click.pass_context
def create(ctx: click.Context, partitions: int, output: Output) -> None:
    """Create the topics that are missing; those that are there stay as they are.

    All topics that are read get the same number of partitions, so that the events of one model
    meet in one instance.
    """
    from watchkeeper.daemon.transport.topics import create_topics

    config = load(globals_of(ctx), required=True).config
    specs = _specs(config.topics, partitions)
    outcomes = create_topics(config.kafka_settings(), specs)
    rows = [{"topic": name, "outcome": outcome} for name, outcome in outcomes]
    show_rows(rows, ("topic", "outcome"), output, "no topics")
    failed = [name for name, outcome in outcomes if outcome not in ("created", "exists")]
    if failed:
        raise Unavailable(f"{len(failed)} of {len(specs)} topics could not be made")


def _specs(topics: Topics, partitions: int) -> list[TopicSpec]:
    from watchkeeper.daemon.config.topics import READ, WRITTEN
    from watchkeeper.daemon.transport.topics import TopicSpec

    kept = {kind: days * _DAY_MS for kind, days in _KEPT_DAYS.items()}
    read = [TopicSpec(topics.name(k), partitions, retention_ms=kept[k]) for k in READ]
    written = [
        TopicSpec(topics.name(k), compacted=k not in kept, retention_ms=kept.get(k))
        for k in WRITTEN
    ]
    refused = [
        TopicSpec(topics.dead_letters(k), retention_ms=_REFUSED_DAYS * _DAY_MS) for k in READ
    ]
    # As many partitions as what is read has: the key of a model then has the same number in both.
    between = TopicSpec(topics.name("partials"), partitions, retention_ms=kept["partials"])
    return [*read, *written, *refused, between]
