"""A broker that is killed, records that freeze a poll, and daemons that are told to stop."""

from __future__ import annotations

import json
import random
import signal
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import pytest
import zstandard
from crc32c import crc32c

from tests.conftest import running
from tests.daemon.transport.crafted import GZIP, ZSTD, batch, good, record, varint
from tests.daemon.transport.rawproduce import produce
from tests.faults.group import Group, Log, sharing, undisturbed_left
from tests.faults.outages import Watched
from tests.faults.size import size
from tests.faults.zygote import Zygote
from tests.services.kafka import Kafka
from tests.services.postgres import Postgres
from watchkeeper.daemon.transport.ports import Partition

pytestmark = [
    pytest.mark.service,
    pytest.mark.slow,
    pytest.mark.alone,
    # kafka-python leaves sockets to the garbage collector when a broker dies under it.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

BROKER_KILLS = size(3, 50)
PARTITIONS = 3
HEALED_S = 60.0
STOPPED_S = 10.0
# Up to the bound of 64 MB is unpacked, and is not there twice.
GROWTH_MB = 110.0
_BOMB_BYTES = 1_000_000_000


class Packer(Protocol):
    """Packs piece by piece."""

    def compress(self, data: bytes) -> bytes: ...
    def flush(self) -> bytes: ...


def _zeros(packer: Packer) -> bytes:
    """A record of very many zeros, which was never in memory as a whole."""
    piece, head = bytes(1_000_000), b"\0" + varint(0) + varint(0) + varint(-1)
    body = head + varint(_BOMB_BYTES)
    length = len(body) + _BOMB_BYTES + 1
    packed = [packer.compress(varint(length) + body)]
    packed += [packer.compress(piece) for _ in range(_BOMB_BYTES // len(piece))]
    return b"".join([*packed, packer.compress(varint(0)), packer.flush()])


def wrong_checksum(batch: bytearray) -> None:
    """One bit of a record is another one."""
    batch[-3] ^= 4


def unknown_codec(batch: bytearray) -> None:
    """It says that it is packed as nobody packs."""
    batch[22] |= 7
    struct.pack_into(">I", batch, 17, crc32c(bytes(batch[21:])))


def damage_last(kafka: Kafka, place: Partition, damage: Callable[[bytearray], None]) -> None:
    """Damages the last batch of a partition where the broker keeps it."""
    path = max(kafka.directory.glob(f"data/{place.topic}-{place.number}/*.log"))
    data, at, size = path.read_bytes().rstrip(b"\0"), 0, 0
    while at + size < len(data):
        at += size
        size = 12 + int.from_bytes(data[at + 8 : at + 12], "big")
    batch = bytearray(data[at : at + size])
    damage(batch)
    with path.open("r+b") as file:
        file.seek(at)
        file.write(batch)


@pytest.fixture(scope="module")
def mortal() -> Iterator[Kafka]:
    """A broker of these tests' own, which they may kill."""
    with running(Kafka) as kafka:
        yield kafka


@pytest.fixture
def watched(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    mortal: Kafka,
    postgres: Postgres,
    zygote: Zygote,
) -> Iterator[Watched]:
    """A member that reads."""
    postgres.start()
    mortal.start()
    log = Log(mortal.bootstrap, PARTITIONS)
    settings = {"session_s": 6.0, "static": True, **getattr(request, "param", {})}
    group = Group(tmp_path, zygote, log, postgres.fresh_database(), settings=settings)
    # A change of an incident would be made true at once, and with it all that was read.
    faults = not hasattr(request, "param")
    stream = sharing(PARTITIONS, slots=size(400, 1_500), per_slot=30, faults=faults)
    made = Watched(group, stream)
    made.start()
    try:
        yield made
    finally:
        mortal.start()
        group.close()
        log.close()


@pytest.mark.timeout(size(240, 1_800))
def test_a_killed_broker_costs_nothing(
    watched: Watched,
    mortal: Kafka,
    postgres: Postgres,
    zygote: Zygote,
    record_property: Callable[[str, object], None],
) -> None:
    record_property("size", f"{BROKER_KILLS} kills of the broker")
    chance = random.Random(17)
    for _ in range(BROKER_KILLS):
        watched.during(chance.uniform(0.3, 1.5))
        mortal.kill()
        mortal.start()
        watched.give(8)
        watched.finish(HEALED_S)
    watched.give(75 - watched.given)
    watched.finish(HEALED_S)
    assert watched.group.leave(watched.name) == 0

    left = undisturbed_left(watched.group, zygote, postgres)
    assert left.offsets == _written(watched)


def _written(watched: Watched) -> dict[str, int]:
    """How many events each partition must hold: one twice in the log would be one too many."""
    log = watched.group.log
    return {
        f"{p.topic}/{p.number}".removeprefix(log.inputs): n for p, n in sorted(log.sent.items())
    }


@pytest.mark.timeout(180)
@pytest.mark.parametrize("poison", ["header key", "gzip bomb", "zstd bomb"])
def test_a_poll_that_would_freeze_is_healed(watched: Watched, poison: str) -> None:
    """The rest of the poisoned partition is read, and no other partition waits."""
    log = watched.group.log
    topic = f"{log.inputs}predictions"
    bad = {
        "header key": batch(record(0, b"{}", [(b"\xff\xfe", b"x")]), 1),
        "gzip bomb": batch(_zeros(zlib.compressobj(9, wbits=31)), 1, attributes=GZIP),
        "zstd bomb": batch(_zeros(zstandard.ZstdCompressor().compressobj()), 1, attributes=ZSTD),
    }[poison]
    before = watched.memory()
    highest_from_now(watched)
    assert produce(log.bootstrap, topic, bad) is None
    log.sent[Partition(topic, 0)] += 1
    assert produce(log.bootstrap, topic, good([b"{}"] * 5)) is None
    log.sent[Partition(topic, 0)] += 5

    watched.give(5)
    took = watched.finish(HEALED_S)

    letters = watched.group.store.records.dead_letters()
    refused = {each.offset for each in letters if each.topic == topic}
    end = log.sent[Partition(topic, 0)] - 5 * watched.stream.per_slot
    # The five good records say nothing of use, so they are refused one by one: all were read.
    assert set(range(end - 5, end)) <= refused
    assert took <= HEALED_S
    assert (highest(watched) - before) / 2**20 < GROWTH_MB
    assert watched.group.leave(watched.name) == 0


def highest_from_now(watched: Watched) -> None:
    """Has the system forget how big it was before."""
    Path(f"/proc/{watched.group.members[watched.name]}/clear_refs").write_text("5")


def highest(watched: Watched) -> int:
    """How big, in bytes, it was at most."""
    status = Path(f"/proc/{watched.group.members[watched.name]}/status").read_text()
    (line,) = (each for each in status.splitlines() if each.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


@pytest.mark.timeout(180)
@pytest.mark.parametrize("damage", [wrong_checksum, unknown_codec])
def test_a_batch_that_was_damaged_on_disk_is_passed_over(
    watched: Watched, mortal: Kafka, damage: Callable[[bytearray], None]
) -> None:
    """It alone is refused, and all around it is counted."""
    group, log = watched.group, watched.group.log
    place = Partition(f"{log.inputs}predictions", 0)
    assert group.leave(watched.name) == 0
    start = log.sent[place]
    assert produce(log.bootstrap, place.topic, good([b"{}"] * 5)) is None
    log.sent[place] += 5
    damage_last(mortal, place, damage)
    watched.give(5)

    group.join(watched.name)
    took = watched.finish(HEALED_S)
    assert group.leave(watched.name) == 0

    assert took <= HEALED_S
    (letter,) = group.store.records.dead_letters()
    assert (letter.topic, letter.partition, letter.offset) == (*place, start)
    assert letter.reason == "quarantined_range"
    assert f"records {start} to {start + 4}, 5 at most, cannot be read" in letter.message
    each = watched.given * watched.stream.per_slot
    assert {m: sum(n.values()) for m, n in group.left().states.items()} == {
        model: each for model, _ in watched.stream.models
    }


# Long between two checkpoints: what the last turns have read hangs on the one at the stop.
SELDOM = {"checkpoint_s": 3.0}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("watched", [SELDOM], indirect=True, ids=["seldom"])
def test_a_stop_under_load_reads_nothing_again(watched: Watched) -> None:
    check_stop(watched)


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "watched", [SELDOM | {"sabotage": "no last checkpoint"}], indirect=True, ids=["sabotaged"]
)
def test_a_stop_that_keeps_too_little_is_noticed(watched: Watched) -> None:
    with pytest.raises(AssertionError, match="read again"):
        check_stop(watched)


def check_stop(watched: Watched) -> None:
    """Stops it in the middle of a backlog, starts it again, and counts what was read."""
    group = watched.group
    watched.give(40)
    with giving(watched):  # or all would be read before it stops
        began = time.monotonic()
        group.signal(watched.name, signal.SIGTERM)
        assert group.gone(watched.name) == 0
        assert time.monotonic() - began <= STOPPED_S
    stopped_at = group.read()
    first = polled(watched)

    group.join(watched.name)
    group.wait_read(60.0)
    assert group.leave(watched.name) == 0

    assert any(n < group.log.sent[p] for p, n in stopped_at.items() if p in group.log.sent)
    assert polled(watched) == sum(group.log.sent.values()), "read again"
    assert first == sum(stopped_at.values())


@contextmanager
def giving(watched: Watched) -> Iterator[None]:
    """Writes one slot after another meanwhile, and one at the end."""
    enough = threading.Event()

    def give() -> None:
        while not enough.wait(0.02):
            watched.give(1)

    thread = threading.Thread(target=give)
    thread.start()
    try:
        yield
    finally:
        enough.set()
        thread.join()
    watched.give(1)


def polled(watched: Watched) -> int:
    """How many records were handed out to members of all lives."""
    folder = watched.group.folder / watched.group.name
    return sum(json.loads(each.read_text()) for each in folder.glob("polled-*"))
