"""`watchkeeper dlq`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from watchkeeper.daemon.cli.common import globals_of, load, opened
from watchkeeper.daemon.cli.outcome import Refused, Unavailable
from watchkeeper.daemon.cli.output import Output, moment, output_option, show_json, show_rows

if TYPE_CHECKING:
    from watchkeeper.daemon.config import Config
    from watchkeeper.daemon.storage.store import Store
    from watchkeeper.daemon.storage.values import DeadLetter
    from watchkeeper.daemon.transport.ports import Message

_COLUMNS = ("id", "at", "topic", "partition", "offset", "reason", "path", "message", "replayed")
_DELIVERY_S = 30.0


@click.group("dlq")
def command() -> None:
    """Look at refused records and send them once more."""


@command.command("list")
@click.option("--waiting", is_flag=True, help="Only those that were not sent once more.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True)
@output_option
@click.pass_context
def list_(ctx: click.Context, waiting: bool, limit: int, output: Output) -> None:
    """List refused records, newest first, each with its reason."""
    with opened(load(globals_of(ctx)).config) as store:
        found = store.records.dead_letters(limit=limit, waiting_only=waiting)
    if output == "json":
        show_json(found)
        return
    show_rows([_row(each) for each in found], _COLUMNS, output, "no refused records")


def _row(each: DeadLetter) -> dict[str, object]:
    from watchkeeper.daemon.transport.codec.deadletter import cut_parts

    row: dict[str, object] = {name: getattr(each, name) for name in each.__struct_fields__}
    cut = "".join(f" (cut: {part} of {n:,} bytes)" for part, n in cut_parts(each.headers).items())
    row["message"] = each.message + cut
    return row | {"at": moment(each.at), "replayed": moment(each.replayed_at)}


@command.command("replay")
@click.argument("ids", nargs=-1, type=int)
@click.option("--all", "everything", is_flag=True, help="All that were not sent once more.")
@click.option(
    "--to",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Append the original bytes to this file, a line each, instead of sending them.",
)
@click.pass_context
def replay(ctx: click.Context, ids: tuple[int, ...], everything: bool, file: Path | None) -> None:
    """Send refused records to their topics once more, byte for byte."""
    if bool(ids) == everything:
        raise click.UsageError("give the IDS of records, or --all")
    config = load(globals_of(ctx)).config
    with opened(config) as store:
        letters, cut = _wanted(store, ids)
        if cut:
            was = "that was cut where it was" if len(cut) == 1 else "that were cut where they were"
            numbers = ", ".join(str(each.id) for each in cut)
            click.echo(f"left out {len(cut)} {was} put away: {numbers}", err=True)
        if not letters:
            click.echo(f"no {'other ' if cut else ''}refused records wait")
            return
        faults = _append(letters, file) if file is not None else _publish(letters, config)
        now = time.time()
        for each, fault in zip(letters, faults, strict=True):
            if fault is None:
                store.records.mark_replayed(each.id, now)
    refused = [fault for fault in faults if fault is not None]
    click.echo(f"replayed {len(letters) - len(refused)}")
    if refused:
        raise Unavailable(f"{len(refused)} of {len(letters)} were not taken: {refused[0]}")


def _wanted(store: Store, ids: tuple[int, ...]) -> tuple[list[DeadLetter], list[DeadLetter]]:
    """Those to send, and those that cannot be because they were cut."""
    from watchkeeper.daemon.transport.codec.deadletter import UNREAD, cut_parts

    if not ids:
        waiting = store.records.dead_letters(limit=100_000, waiting_only=True)[::-1]
        read = [each for each in waiting if each.reason not in UNREAD]
        whole = [each for each in read if not cut_parts(each.headers)]
        return whole, [each for each in read if cut_parts(each.headers)]
    return [_one(store, each) for each in ids], []


def _one(store: Store, number: int) -> DeadLetter:
    """The refused record of that number. Raises Refused where there is nothing to send."""
    from watchkeeper.daemon.transport.codec.deadletter import UNREAD, cut_parts

    letter = store.records.dead_letter(number)
    if letter is None:
        raise Refused(f"no refused record {number}: `watchkeeper dlq list`")
    if letter.reason in UNREAD:
        raise Refused(f"{number} stands for records that were never read: there is nothing to send")
    if cut := cut_parts(letter.headers):
        sizes = ", ".join(f"{part}: {size:,} bytes" for part, size in cut.items())
        raise Refused(
            f"{number} was cut where it was put away ({sizes}), and is not sent: whole it is only "
            f"in Kafka, in {letter.topic}, partition {letter.partition}, offset {letter.offset}"
        )
    return letter


def _append(letters: list[DeadLetter], file: Path) -> list[str | None]:
    """Writes each as it came; one in CloudEvents' binary mode as an envelope with its headers."""
    from watchkeeper.daemon.transport.file import line_of

    with file.open("ab") as out:
        for each in letters:
            enveloped = any(name.startswith("ce_") for name, _ in each.headers)
            line = line_of(_message(each)) if enveloped else each.value or b""
            out.write(line + b"\n")
    return [None] * len(letters)


def _message(letter: DeadLetter) -> Message:
    from watchkeeper.daemon.transport.ports import Message

    return Message(letter.topic, letter.key, letter.value, letter.headers)


def _publish(letters: list[DeadLetter], config: Config) -> list[str | None]:
    from watchkeeper.daemon.transport.kafka_sink import KafkaSink

    sink = KafkaSink(config.kafka_settings())
    try:
        return sink.publish([_message(each) for each in letters], _DELIVERY_S)
    finally:
        sink.close()
