"""Kafka, the database or Sentry is away for a while: nothing is lost, and memory stays small."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.conftest import unavailable
from tests.faults.group import Group, Log, sharing, undisturbed_left
from tests.faults.outages import Outage, Watched, flapping, gone
from tests.faults.proxy import Fault, Proxy, proxied
from tests.faults.sentry import Sentry, sentry
from tests.faults.size import FULL, size
from tests.faults.verdict import incidents, pages_of
from tests.faults.zygote import Zygote
from tests.services.base import Missing, free_ports, wait_until
from tests.services.kafka import Kafka
from tests.services.postgres import Postgres
from watchkeeper.daemon.reporting.pages import event_id

pytestmark = [pytest.mark.service, pytest.mark.slow, pytest.mark.alone]

AWAY_S = size(8.0, 60.0)  # an hour is a minute in full size
FLAPS = size(1, 6) * (size(2.0, 5.0),)
SESSION_S = 6.0
CAUGHT_UP_S = 10.0  # ten minutes at one to sixty
GROWTH_MB = 50.0
RECOVERED_S = 5.0
TROUBLED_S = 2.0
AT_ONCE_S = 2.0
OUTDATED = "collapsed"
DROPPING = {"sabotage": "drops a page"}
PROFILES = [{"profile": "low_latency"}, {"profile": "default"}]
PARTITIONS = 3
TROUBLES = (Fault.DELAY, Fault.RESET, Fault.REFUSE, Fault.HOLE, Fault.SLOW, Fault.CUT)


class TwoWays(Kafka):
    """A broker that names itself by a proxy's port to whoever comes that way, and has a second
    port, `direct`, for those who shall not be troubled."""

    def __init__(self, proxy_port: int) -> None:
        super().__init__()
        (port,) = free_ports(1)
        self.direct = f"127.0.0.1:{port}"
        self._settings = {
            "listeners": f"PLAINTEXT://{self.bootstrap},DIRECT://{self.direct},"
            f"CONTROLLER://127.0.0.1:{self._controller_port}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{proxy_port},DIRECT://{self.direct}",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,"
            "DIRECT:PLAINTEXT",
            "inter.broker.listener.name": "DIRECT",
        }


@pytest.fixture(scope="module")
def wire() -> Iterator[tuple[TwoWays, Proxy]]:
    """A broker that members can only reach through a proxy."""
    (port,) = free_ports(1)
    try:
        kafka = TwoWays(port)
    except Missing as reason:
        unavailable(str(reason))
    with proxied(port, kafka.port) as proxy, kafka:
        yield kafka, proxy


@pytest.fixture
def pager() -> Iterator[Sentry]:
    """A Sentry of this test's own."""
    with sentry() as made:
        yield made


@pytest.fixture
def watched(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    wire: tuple[TwoWays, Proxy],
    postgres: Postgres,
    postgres_wire: Proxy,
    pager: Sentry,
    zygote: Zygote,
) -> Iterator[Watched]:
    """A member whose every connection can be troubled."""
    kafka, proxy = wire
    postgres.start()
    url = postgres.fresh_database()
    log = Log(kafka.direct, PARTITIONS)
    settings = {"session_s": SESSION_S, "sentry": pager.dsn, **getattr(request, "param", {})}
    far = f"127.0.0.1:{proxy.port}"
    group = Group(tmp_path, zygote, log, url, far, settings)
    group.reached = url.replace(f":{postgres.port}/", f":{postgres_wire.port}/")
    made = Watched(group, sharing(PARTITIONS, slots=size(200, 1_500), per_slot=30))
    try:
        made.start()
        yield made
    finally:
        proxy.apply(Fault.NONE)
        postgres_wire.apply(Fault.NONE)
        group.close()
        log.close()


@pytest.fixture
def postgres_wire(postgres: Postgres) -> Iterator[Proxy]:
    """A way to the database that can be troubled."""
    with proxied(free_ports(1)[0], postgres.port) as made:
        yield made


def check_nothing_lost(watched: Watched, zygote: Zygote, postgres: Postgres) -> None:
    """Ends the member and compares with what an undisturbed one makes of the same events."""
    watched.end()
    left = undisturbed_left(watched.group, zygote, postgres)
    assert max(left.findings.values()) == 1


def check_told(watched: Watched, pager: Sentry) -> None:
    """Sentry has heard of every incident, however often it was away, of each state once: nothing
    waits, and what it was not told has a newer page of the same incident instead."""
    store, url = watched.group.store, watched.group.database
    wait_until(lambda: not store.letters.pending("sentry"), 60.0, "the pages to be told")
    assert set(Counter(pager.taken).values()) == {1}, "told twice"
    pages = pages_of(url)
    outdated = {page for page, ended in pages.items() if ended.startswith(OUTDATED)}
    assert pages.keys() - outdated == set(pager.taken), "not what was to be told"
    opened = {event_id(each, "opened", ()) for each in incidents(url)}
    resolved = {event_id(each, "resolved", ()) for each in incidents(url) if not each.open}
    assert len(opened) == len(resolved) >= 2
    assert opened <= pages.keys()
    assert resolved <= set(pager.taken), "not told how it ended"


@pytest.mark.timeout(size(300, 1_800))
def test_what_is_away_for_an_hour_costs_nothing(
    watched: Watched,
    wire: tuple[TwoWays, Proxy],
    postgres: Postgres,
    pager: Sentry,
    zygote: Zygote,
    record_property: Callable[[str, object], None],
) -> None:
    record_property("size", f"each {AWAY_S:g} s away, then flapping")
    outages = (
        Outage("sentry", pager.down.set, pager.down.clear),
        Outage("kafka", lambda: wire[1].apply(Fault.REFUSE), lambda: wire[1].apply(Fault.NONE)),
        Outage("database", postgres.stop, postgres.start),
    )
    for outage in outages:
        gone(watched, outage, AWAY_S, CAUGHT_UP_S)
    for outage in outages:
        flapping(watched, outage, FLAPS, CAUGHT_UP_S)

    assert watched.grown_mb < GROWTH_MB
    watched.give(watched.stream.slots)
    watched.finish(60.0)
    check_told(watched, pager)
    check_nothing_lost(watched, zygote, postgres)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("watched", [DROPPING], indirect=True, ids=["sabotaged"])
def test_a_page_that_is_dropped_is_noticed(watched: Watched, pager: Sentry) -> None:
    watched.give(75)
    watched.finish(60.0)

    with pytest.raises(AssertionError, match="not what was to be told"):
        check_told(watched, pager)


@pytest.mark.timeout(size(300, 1_800))
@pytest.mark.parametrize("where", ["kafka", "database"] if FULL else ["both"])
@pytest.mark.parametrize(
    "watched", PROFILES if FULL else PROFILES[:1], indirect=True, ids=lambda each: each["profile"]
)
def test_troubled_connections_heal_within_seconds(
    watched: Watched,
    wire: tuple[TwoWays, Proxy],
    postgres_wire: Proxy,
    postgres: Postgres,
    zygote: Zygote,
    where: str,
    record_property: Callable[[str, object], None],
) -> None:
    record_property("size", f"{len(TROUBLES)} faults of {TROUBLED_S:g} s")
    proxies = [wire[1]] * (where != "database") + [postgres_wire] * (where != "kafka")
    took = {}
    for fault in TROUBLES:
        apply(proxies, fault)
        watched.during(TROUBLED_S)
        apply(proxies, Fault.NONE)
        took[fault.value] = watched.finish(60.0)

    assert max(took.values()) <= RECOVERED_S, took
    check_nothing_lost(watched, zygote, postgres)


def apply(proxies: Sequence[Proxy], fault: Fault) -> None:
    """The same fault to all of them."""
    for proxy in proxies:
        proxy.apply(fault)


@pytest.mark.timeout(120)
def test_a_second_sigterm_ends_at_once(watched: Watched, postgres_wire: Proxy) -> None:
    group, pid = watched.group, watched.group.members[watched.name]
    postgres_wire.apply(Fault.HOLE)
    watched.give(5)
    group.signal(watched.name, signal.SIGTERM)
    assert group.zygote.ended(pid, 1.0) is None, "the first one must find it waiting"

    began = time.monotonic()
    group.signal(watched.name, signal.SIGTERM)

    assert group.gone(watched.name) == 128 + signal.SIGTERM
    assert time.monotonic() - began <= AT_ONCE_S
