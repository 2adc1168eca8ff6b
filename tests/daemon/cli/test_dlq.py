"""`watchkeeper dlq`."""

from __future__ import annotations

import json

import pytest
from msgspec.structs import replace

from tests.daemon.cli.conftest import Host, process
from tests.daemon.storage import examples
from watchkeeper.daemon.pending import Pending
from watchkeeper.daemon.storage.store import Store
from watchkeeper.daemon.storage.values import Checkpoint
from watchkeeper.daemon.transport.codec import DeadLetter as Refused
from watchkeeper.daemon.transport.ports import Record


def test_refused_records_are_listed_with_their_reason(host: Host) -> None:
    table = host.run("dlq", "list")
    listed = json.loads(host.run("dlq", "list", "-o", "json").stdout)

    assert "syntax" in table.stdout
    assert "$.features" in table.stdout
    assert [(each["offset"], each["reason"]) for each in listed] == [(7, "syntax")]


def test_original_bytes_go_to_a_file_once(host: Host) -> None:
    file = host.folder / "out.jsonl"

    first = host.run("dlq", "replay", "--all", "--to", str(file))
    second = host.run("dlq", "replay", "--all", "--to", str(file))

    assert (first.exit_code, first.stdout) == (0, "replayed 1\n")
    assert second.stdout == "no refused records wait\n"
    assert file.read_bytes() == (examples.dead_letter().value or b"") + b"\n"


def test_one_record_can_be_replayed_again_by_its_number(host: Host) -> None:
    file = host.folder / "out.jsonl"
    number = json.loads(host.run("dlq", "list", "-o", "json").stdout)[0]["id"]

    for _ in range(2):
        assert host.run("dlq", "replay", str(number), "--to", str(file)).exit_code == 0

    assert len(file.read_bytes().splitlines()) == 2


@pytest.mark.parametrize(
    ("words", "code"), [((), 2), (("--all", "1"), 2), (("999",), 1), (("x",), 2)]
)
def test_it_must_be_said_which_records(host: Host, words: tuple[str, ...], code: int) -> None:
    assert host.run("dlq", "replay", *words).exit_code == code


def test_without_a_broker_nothing_counts_as_replayed(brokerless: Host) -> None:
    ended = process("dlq", "replay", "--all", folder=brokerless.folder)

    assert ended.returncode == 69
    assert "1 of 1 were not taken" in ended.stderr
    listed = json.loads(brokerless.run("dlq", "list", "--waiting", "-o", "json").stdout)
    assert len(listed) == 1


def test_a_range_that_was_never_read_is_listed_and_cannot_be_sent(host: Host) -> None:
    store, file = Store(host.url), host.folder / "out.jsonl"
    unread = replace(examples.dead_letter(20), reason="quarantined_range", value=None)
    store.commit(Checkpoint(at=examples.T0, epochs={}, dead_letters=[unread]))
    store.close()

    listed = json.loads(host.run("dlq", "list", "-o", "json").stdout)
    everything = host.run("dlq", "replay", "--all", "--to", str(file))
    one = host.run("dlq", "replay", str(listed[0]["id"]), "--to", str(file))

    assert [each["reason"] for each in listed] == ["quarantined_range", "syntax"]
    assert everything.stdout == "replayed 1\n"
    assert (one.exit_code, "never read" in one.stderr) == (1, True)


def test_a_record_that_was_cut_is_listed_and_not_sent(host: Host) -> None:
    store, file = Store(host.url), host.folder / "out.jsonl"
    pending = Pending()
    record = Record("predictions", 3, 21, examples.T0, b"fraud", b"x" * 2_000_000)
    pending.add_refused([Refused(record, "too_large")], examples.T0)
    store.commit(Checkpoint(at=examples.T0, epochs={}, dead_letters=pending.letters))
    store.close()

    number = json.loads(host.run("dlq", "list", "-o", "json").stdout)[0]["id"]
    table = host.run("dlq", "list").stdout
    everything = host.run("dlq", "replay", "--all", "--to", str(file))
    one = host.run("dlq", "replay", str(number), "--to", str(file))

    assert "cut" in table
    assert everything.exit_code == 0
    assert everything.stdout == "replayed 1\n"
    assert f"left out 1 that was cut where it was put away: {number}" in everything.stderr
    assert one.exit_code == 1
    assert f"{number} was cut where it was put away (value: 2,000,000 bytes)" in one.stderr
    assert "predictions, partition 3, offset 21" in one.stderr
    assert file.read_bytes() == (examples.dead_letter().value or b"") + b"\n"


def test_where_only_cut_records_wait_that_is_said(host: Host) -> None:
    host.run("dlq", "replay", "--all", "--to", str(host.folder / "out.jsonl"))
    store, pending = Store(host.url), Pending()
    for offset in (21, 22):
        record = Record("predictions", 3, offset, examples.T0, b"k" * 50_000, b"x")
        pending.add_refused([Refused(record, "too_large")], examples.T0)
    store.commit(Checkpoint(at=examples.T0, epochs={}, dead_letters=pending.letters))
    store.close()

    ended = host.run("dlq", "replay", "--all", "--to", str(host.folder / "out.jsonl"))

    assert ended.exit_code == 0
    assert "left out 2 that were cut where they were put away: " in ended.stderr
    assert ended.stdout == "no other refused records wait\n"
