"""A group of daemons on Apache Kafka: restarted in turn, frozen, joined and left, under load."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

import pytest

from tests.faults.fleet import Fleet
from tests.faults.size import FULL
from tests.services.brokers import Broker

pytestmark = [pytest.mark.service, pytest.mark.slow, pytest.mark.alone]

StartFleet = Callable[..., Fleet]
THREE = ("w-1", "w-2", "w-3")


@pytest.fixture
def fleet(durable_kafka: Broker, tmp_path: Path) -> Iterator[StartFleet]:
    with ExitStack() as ended:

        def start(*names: str, **settings: str) -> Fleet:
            made = ended.enter_context(
                closing(Fleet(tmp_path, durable_kafka.bootstrap, **settings))
            )
            for name in names:
                made.start(name)
            if names:
                made.until(made.shared, "even shares")
            return made

        yield start


@pytest.mark.parametrize("assignor", ["range", "cooperative-sticky"])
def test_members_restarted_in_turn_move_nothing_and_read_nothing_again(
    fleet: StartFleet, assignor: str
) -> None:
    group = fleet(*THREE, assignor=assignor)
    feed = group.feed()
    group.until(lambda: group.committed() > 500, "some reading")
    group.until(group.settled(), "a rest")
    owned = {name: group.owned(name) for name in THREE}
    began: dict[str, int] = {}

    for name in THREE:
        before = group.spots()
        group.stop(name)
        left = group.spots()
        began[name] = sum(left[p].offset for p in owned[name] if p.topic == group.predictions)
        group.start(name)
        group.until(partial(group.has, name, owned[name]), f"{name} as before")
        after = group.spots()
        others = [p for p in before if p not in owned[name]]
        assert [after[p].epoch for p in others] == [before[p].epoch for p in others]
    feed.stop()

    group.until(lambda: group.committed() == feed.sent.total(), "the end of the feed")
    assert group.kept() == feed.sent
    offsets = group.spots()
    for name in THREE:
        ended = sum(offsets[p].offset for p in owned[name] if p.topic == group.predictions)
        assert group.events(name) == ended - began[name], f"{name} read something twice"


@pytest.mark.parametrize("assignor", ["range", "cooperative-sticky"])
def test_a_member_frozen_beyond_its_session_makes_nothing_double(
    fleet: StartFleet, assignor: str
) -> None:
    check_frozen(fleet(*THREE, assignor=assignor, session="6s"))


@pytest.mark.skipif(not FULL, reason="to hit a transaction takes minutes: full size only")
def test_a_member_frozen_within_a_transaction_keeps_the_others_waiting_no_longer_than_a_bound(
    fleet: StartFleet, postgres_url: str
) -> None:
    group = fleet(*THREE, assignor="cooperative-sticky", session="6s", database=postgres_url)

    check_frozen(group)

    assert all("the database is back" in group.log(name) for name in THREE)


def check_frozen(group: Fleet) -> None:
    """Others take over from one that is frozen, which finds that out when it goes on."""
    feed = group.feed()
    group.until(lambda: group.committed() > 500, "some reading")
    owned, before = group.owned("w-2"), group.spots()

    group.freeze("w-2")
    group.until(
        lambda: all(group.spots()[p].epoch > before[p].epoch for p in owned), "others take over"
    )
    taken = group.committed()
    group.until(lambda: group.committed() > taken + 500, "others read on")
    group.thaw("w-2")

    group.until(lambda: "another instance took over" in group.log("w-2"), "a refused commit")
    group.until(group.shared, "even shares")
    feed.stop()
    group.until(lambda: group.committed() == feed.sent.total(), "the end of the feed")
    assert group.kept() == feed.sent


def test_whoever_joins_or_leaves_moves_no_more_than_a_share(fleet: StartFleet) -> None:
    group = fleet("w-1", "w-2", assignor="cooperative-sticky", session="6s")
    feed = group.feed()
    group.until(lambda: group.committed() > 500, "some reading")
    two, before = group.shares(), group.spots()

    group.start("w-3")
    group.until(lambda: group.numbers("w-3") and group.shared(), "three even shares")
    three, after = group.shares(), group.spots()
    stayed = [p for p in before if any(p.number in two[n] & three[n] for n in two)]
    assert all(three[name] < two[name] for name in two)
    assert [after[p].epoch for p in stayed] == [before[p].epoch for p in stayed]
    feed.stop()
    group.until(lambda: group.committed() == feed.sent.total(), "the end of the feed")
    assert sum(map(group.events, three)) == feed.sent.total(), "something was read twice"

    more = group.feed(feed.sent)
    group.kill("w-3")
    group.until(group.shared, "two even shares")
    more.stop()
    group.until(lambda: group.committed() == more.sent.total(), "the end of the feed")

    assert all(group.shares()[name] > three[name] for name in two)
    assert [group.spots()[p].epoch for p in stayed] == [before[p].epoch for p in stayed]
    assert group.kept() == more.sent


def test_workers_share_one_sqlite_database_and_are_killed_and_restarted_under_load(
    fleet: StartFleet,
) -> None:
    group = fleet(assignor="cooperative-sticky")
    names = group.supervise(3)
    group.until(group.shared, "even shares")
    feed = group.feed()
    group.until(lambda: group.committed() > 500, "some reading")
    owned = {name: group.owned(name) for name in names}

    for number, how in ((1, signal.SIGKILL), (2, signal.SIGTERM), (3, signal.SIGKILL)):
        pid, before = group.pid(number), group.spots()
        os.kill(pid, how)
        group.until(partial(group.renewed, number, pid), "a new process")
        name = names[number - 1]
        group.until(partial(group.has, name, owned[name]), f"{name} as before")
        others = [p for p in before if p not in owned[name]]
        after = group.spots()
        assert [after[p].epoch for p in others] == [before[p].epoch for p in others]
    feed.stop()

    group.until(lambda: group.committed() == feed.sent.total(), "the end of the feed")
    group.stop("w")
    assert group.kept() == feed.sent
    assert "the database stayed away" not in group.log("w")
