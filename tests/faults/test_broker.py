"""A broker that is killed, records that freeze a poll, and daemons that are told to stop."""

from __future__ import annotations

import json
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import running
from tests.daemon.transport.crafted import GZIP, batch, good, record
from tests.daemon.transport.rawproduce import produce
from tests.faults.group import Group, Log, sharing, undisturbed
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
_BOMB_BYTES = 100 * 1024 * 1024


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

    group = watched.group
    alone = Group(group.folder, zygote, group.log, postgres.fresh_database())
    reference = undisturbed(alone, 60.0)
    left = group.left()
    assert len(reference.incidents) >= 2
    assert not left.differences(reference), left.differences(reference)
    assert left.offsets == _written(watched)


def _written(watched: Watched) -> dict[str, int]:
    """How many events each partition must hold: one twice in the log would be one too many."""
    log = watched.group.log
    return {
        f"{p.topic}/{p.number}".removeprefix(log.inputs): n for p, n in sorted(log.sent.items())
    }


@pytest.mark.timeout(180)
@pytest.mark.parametrize("poison", ["header key", "bomb"])
def test_a_poll_that_would_freeze_is_healed(watched: Watched, poison: str) -> None:
    """The rest of the poisoned partition is read, and no other partition waits."""
    log = watched.group.log
    topic = f"{log.inputs}predictions"
    bad = {
        "header key": batch(record(0, b"{}", [(b"\xff\xfe", b"x")]), 1),
        "bomb": good([b"\0" * _BOMB_BYTES], GZIP),
    }[poison]
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
    assert watched.group.leave(watched.name) == 0


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
