"""Fetches that the polling thread sends and hears itself, on real brokers and bad networks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest

from tests.conftest import running, unavailable
from tests.daemon.transport.contract import WAIT_S, read, until_caught_up
from tests.daemon.transport.onkafka import publish, settings_for, source_of, topic_of
from tests.daemon.transport.secured import Secured
from tests.faults.proxy import Fault, Proxy, proxied
from tests.services.base import Missing, free_ports, wait_until
from tests.services.brokers import Broker
from tests.services.kafka import Kafka
from watchkeeper.daemon.transport.kafka import KafkaSource
from watchkeeper.daemon.transport.kafka_lines import Line
from watchkeeper.daemon.transport.settings import PROFILES, KafkaSettings
from watchkeeper.daemon.transport.standstill import Stuck

pytestmark = [pytest.mark.service]

T = TypeVar("T")

QUICK = PROFILES["low_latency"]


def way(source: KafkaSource) -> Any:
    """By which a source's consumer asks brokers."""
    (found,) = [
        cell.cell_contents
        for cell in source._member.consumer._fetcher.fetch_records.__closure__
        if hasattr(cell.cell_contents, "heard")
    ]
    return found


def open_lines(source: KafkaSource) -> list[Line]:
    """The connections that the source has to itself."""
    return [line for line in way(source)._lines._lines.values() if line.open]


def until_open(source: KafkaSource) -> Line:
    """Polls until there is one."""
    return polling_until(source, lambda: open_lines(source), "a connection")[0]


def polling_until(source: KafkaSource, found: Callable[[], T], what: str) -> T:
    """Polls until something is found."""
    return wait_until(lambda: (source.poll(0.05), found())[1], WAIT_S, what)


@contextmanager
def reading(settings: KafkaSettings) -> Iterator[tuple[KafkaSource, str]]:
    """A source that has read the one record of its topic, and asks directly."""
    topic = topic_of(settings)
    publish(settings, topic, [b"0"])
    with source_of(settings, topic) as source:
        read(source, 1)
        until_caught_up(source)
        until_open(source)
        yield source, topic


@contextmanager
def counted(owner: Any, name: str) -> Iterator[list[Any]]:
    """What is given to a method in the block."""
    given: list[Any] = []
    method = getattr(owner, name)

    def counting(*args: Any, **named: Any) -> Any:
        given.append(args)
        return method(*args, **named)

    setattr(owner, name, counting)
    try:
        yield given
    finally:
        setattr(owner, name, method)


def numbers(count: int, first: int = 1) -> list[bytes]:
    return [b"%d" % number for number in range(first, first + count)]


def test_reading_hands_nothing_to_the_librarys_thread(kafka: Broker) -> None:
    settings = settings_for(kafka, **QUICK)
    with (
        reading(settings) as (source, topic),
        counted(source._member.consumer._net, "run") as handed,
    ):
        publish(settings, topic, numbers(5))
        records = read(source, 5)
        source.poll(0.0)

    assert [record.value for record in records] == numbers(5)
    assert handed == []


def test_brokers_that_wait_for_more_are_asked_the_librarys_way(kafka: Broker) -> None:
    settings = settings_for(kafka, **PROFILES["default"])
    topic = topic_of(settings)
    publish(settings, topic, [b"0"])
    with source_of(settings, topic) as source:
        read(source, 1)
        assert not hasattr(way(source), "_lines")


def test_a_library_that_is_not_as_expected_is_used_its_own_way(
    kafka: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    from watchkeeper.daemon.transport import kafka_direct

    monkeypatch.setattr(kafka_direct, "_FETCHER", ("what it has not",))
    settings = settings_for(kafka, **QUICK)
    topic = topic_of(settings)
    publish(settings, topic, numbers(3))
    with source_of(settings, topic) as source:
        records = read(source, 3)
        assert not hasattr(way(source), "_lines")

    assert [record.value for record in records] == numbers(3)


def test_answers_larger_than_a_socket_holds_come_whole(kafka: Broker) -> None:
    settings = settings_for(kafka, **QUICK)
    large = [bytes([number]) * 400_000 for number in range(1, 18)]
    with reading(settings) as (source, topic):
        line = until_open(source)
        publish(settings, topic, large)
        records = read(source, len(large))
        assert until_open(source) is line

    assert [record.value for record in records] == large


def test_a_loop_that_was_held_up_finds_its_answer_where_it_was(kafka: Broker) -> None:
    settings = settings_for(kafka, **QUICK)
    large = [bytes([number]) * 400_000 for number in range(1, 18)]
    with reading(settings) as (source, topic):
        line = until_open(source)
        way(source)._lines.patience_s = 0.5
        source.poll(0.0)
        publish(settings, topic, large)
        threading.Event().wait(1.0)  # nobody polls meanwhile
        records = read(source, len(large))
        assert until_open(source) is line

    assert [record.value for record in records] == large


def test_what_a_socket_does_not_take_is_sent_once_it_does(kafka: Broker) -> None:
    settings = settings_for(kafka, **QUICK)
    with reading(settings) as (source, topic):
        line = until_open(source)
        transport = line.connection.transport
        send, full = transport._sock_send, [True, True, False]
        transport._sock_send = lambda: (0, None) if full and full.pop(0) else send()
        try:
            polling_until(source, lambda: not full, "a request")
        finally:
            transport._sock_send = send
        publish(settings, topic, numbers(2))
        records = read(source, 2)
        assert until_open(source) is line

    assert [record.value for record in records] == numbers(2)


def test_a_wait_is_a_lull_and_ends_with_the_first_record(kafka: Broker) -> None:
    settings = settings_for(kafka, fetch_min_bytes=1, fetch_max_wait_ms=5_000)
    with reading(settings) as (source, topic):
        while source.poll(0.0).records:
            pass
        with counted(source.lull, "begin") as begun:
            later = threading.Timer(0.5, publish, (settings, topic, numbers(1)))
            later.start()
            began = time.monotonic()
            polled = source.poll(5.0)
            took = time.monotonic() - began
            later.join()

        assert not source.lull._here.is_set()

    assert [record.value for record in polled.records] == numbers(1)
    assert begun
    assert 0.4 < took < 4.0


def test_closing_the_source_closes_its_connections(kafka: Broker) -> None:
    with reading(settings_for(kafka, **QUICK)) as (source, _):
        line = until_open(source)
        socket = line.connection.transport._sock
        line.connection.transport._write_buffer.append(b"what the socket did not take")

    assert not line.open
    assert socket.fileno() < 0
    with pytest.raises(ConnectionError):
        line.fileno()


# ------------------------------------------------------------------------------ bad networks


@pytest.fixture(scope="module")
def wire() -> Iterator[tuple[Kafka, Proxy]]:
    """A broker that names itself by a proxy's port."""
    (port,) = free_ports(1)
    try:
        kafka = Kafka({"advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}"})
    except Missing as reason:
        unavailable(f"{reason}")
    with proxied(port, kafka.port) as proxy, kafka:
        yield kafka, proxy


@pytest.mark.parametrize("fault", [Fault.RESET, Fault.CUT, Fault.HOLE, Fault.REFUSE])
def test_what_happens_to_a_connection_costs_no_record_and_no_order(
    wire: tuple[Kafka, Proxy], fault: Fault
) -> None:
    kafka, proxy = wire
    settings = settings_for(kafka, **QUICK)
    with reading(settings) as (source, topic):
        before = until_open(source)
        way(source)._lines.patience_s = 2.0
        publish(settings, topic, numbers(200))
        came = [record.value for record in read(source, 50)]
        proxy.apply(fault)
        deadline = time.monotonic() + WAIT_S
        while before.open:
            assert time.monotonic() < deadline, "the fault was not noticed"
            came += [record.value for record in source.poll(0.1).records]
        proxy.apply(Fault.NONE)
        publish(settings, topic, numbers(200, first=201))
        came += [record.value for record in read(source, 400 - len(came))]
        after = until_open(source)

    assert came == numbers(400)
    assert after is not before


def test_a_connection_that_falls_silent_is_given_up(wire: tuple[Kafka, Proxy]) -> None:
    kafka, proxy = wire
    settings = settings_for(kafka, **QUICK)
    with reading(settings) as (source, _):
        line = until_open(source)
        way(source)._lines.patience_s = 1.0
        source.poll(0.0)
        proxy.apply(Fault.HOLE)
        began = time.monotonic()
        polling_until(source, lambda: not line.open, "it to be given up")
        took = time.monotonic() - began
        proxy.apply(Fault.NONE)

    assert took > 0.5


# ------------------------------------------------------------------------- what brokers want


def test_a_broker_that_throttles_is_left_alone_for_so_long(kafka: Broker) -> None:
    settings = settings_for(kafka, fetch_min_bytes=1, fetch_max_wait_ms=50)
    with reading(settings) as (source, _):
        direct = way(source)
        polling_until(source, lambda: direct._asked, "a request")
        hear, asked_at = direct._fetcher._handle_fetch_response, list[float]()

        def throttling(node: Any, offsets: Any, sent: float, answer: Any) -> None:
            asked_at.append(sent)
            answer.throttle_time_ms = 700 if len(asked_at) == 1 else 0
            hear(node, offsets, sent, answer)

        direct._fetcher._handle_fetch_response = throttling
        polling_until(source, lambda: len(asked_at) >= 3, "three answers")

    first, second, third = asked_at[:3]
    assert second - first >= 0.7
    assert third - second < 0.7


def test_what_an_answer_breaks_is_asked_for_again(kafka: Broker) -> None:
    settings = settings_for(kafka, **QUICK)
    with reading(settings) as (source, topic):
        line = until_open(source)
        whole = line.connection.parser.receive_bytes

        def odd(data: bytes) -> Any:
            line.connection.parser.receive_bytes = whole
            raise ValueError("not what was expected")

        line.connection.parser.receive_bytes = odd
        publish(settings, topic, numbers(3))
        records = read(source, 3)

    assert [record.value for record in records] == numbers(3)
    assert not line.open


def test_a_poll_that_is_broken_off_ends_as_such(
    kafka: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_for(kafka, **QUICK)
    told: list[Exception] = []

    def noting(_: object, __: object, error: Exception) -> list[Any]:
        told.append(error)
        return []

    monkeypatch.setattr("watchkeeper.daemon.transport.kafka.pass_over", noting)
    with reading(settings) as (source, topic):
        transport = until_open(source).connection.transport

        class Hanging:
            """A socket in which the poll hangs until somebody breaks it off."""

            def __getattr__(self, name: str) -> Any:
                return getattr(socket, name)

            def recv(self, size: int) -> bytes:
                raise Stuck("a poll of the client did not return")

        socket, transport._sock = transport._sock, Hanging()
        publish(settings, topic, numbers(3))
        polling_until(source, lambda: told, "the poll to be broken off")
        records = read(source, 3)

    assert isinstance(told[0], Stuck)
    assert [record.value for record in records] == numbers(3)


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """A broker that wants TLS and a login, which lasts for some seconds."""
    with running(lambda: Secured(tmp_path_factory.mktemp("tls"), login_ms=4_000)) as broker:
        yield broker


def test_tls_and_a_login_that_runs_out_are_the_librarys_business(secured: Secured) -> None:
    settings = secured.settings(settings_for(secured, **QUICK))
    with reading(settings) as (source, topic):
        first = until_open(source)
        came, seen = list[bytes | None](), [first]
        deadline, sent = time.monotonic() + 9.0, 0  # more than two logins
        with counted(way(source)._fetcher, "_handle_fetch_error") as lost:
            while time.monotonic() < deadline:
                publish(settings, topic, numbers(1, first=(sent := sent + 1)))
                came += [record.value for record in read(source, 1)]
                seen += [line for line in open_lines(source) if line is not seen[-1]]

    assert came == numbers(sent)
    assert 2 <= len(seen) <= 4
    assert not lost
