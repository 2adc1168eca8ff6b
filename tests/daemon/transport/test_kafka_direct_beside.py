"""Brokers that are asked directly beside others that are asked the library's way."""

from __future__ import annotations

import socket
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from kafka.future import Future

from watchkeeper.daemon.transport.kafka_direct import Direct, _Asked
from watchkeeper.daemon.transport.kafka_lines import Line

SILENT, OTHER = 1, 2
LONG_MS = 20_000.0


@dataclass
class Fetcher:
    """What of the library's fetcher is used; `requests` are what is wanted of brokers."""

    requests: dict[int, Any] = field(default_factory=dict)
    forgotten: list[int] = field(default_factory=list)
    _fetch_futures: list[Any] = field(default_factory=list)
    _completed_fetches: deque[Any] = field(default_factory=deque)
    _nodes_with_pending_fetch_requests: set[int] = field(default_factory=set)
    _reset_task: Any = None

    def _create_fetch_requests(self) -> dict[int, Any]:
        if isinstance(self.requests, Exception):
            raise self.requests
        return self.requests

    def _handle_fetch_error(self, node: int, error: BaseException) -> None:
        del error
        self.forgotten.append(node)

    def _clear_pending_fetch_request(self, node: int, _: None) -> None:
        self._nodes_with_pending_fetch_requests.discard(node)


class Otherwise:
    """Notes what goes the library's way; `error` is raised then."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.sent: list[int] = []
        self.asked = 0
        self._error = error

    def ask(self) -> None:
        self.asked += 1

    def send(self, requests: Mapping[int, Any]) -> None:
        if self._error is not None:
            raise self._error
        self.sent += requests

    def heard(self, timeout_ms: float) -> bool:
        raise AssertionError(f"waited the library's way for {timeout_ms} ms")


@pytest.fixture
def silent() -> Iterator[Line]:
    """A connection on which nothing ever comes."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with closing(ours), closing(theirs):
        transport = SimpleNamespace(_sock=ours, _write_buffer=deque())
        connection = SimpleNamespace(transport=transport, closed=False)
        yield Line(("here", 1), time.monotonic(), connection=connection)


def direct_with(fetcher: Fetcher, otherwise: Otherwise, line: Line | None = None) -> Direct:
    """Without a connection to anybody; `line` is where `SILENT` has been asked."""
    lines: Any = SimpleNamespace(to=lambda _: None, patience_s=30.0, close=lambda *_: None)
    direct = Direct(fetcher, lines, otherwise)
    if line is not None:
        direct._asked[SILENT] = _Asked(line, {}, time.monotonic())
    return direct


@pytest.mark.parametrize("what", ["_fetch_futures", "_reset_task"])
def test_what_the_library_hears_is_not_held_up_by_a_silent_broker(silent: Line, what: str) -> None:
    fetcher, future = Fetcher(), Future()
    setattr(fetcher, what, [future] if what == "_fetch_futures" else future)
    later = threading.Timer(0.2, future.success, (None,))
    later.start()
    began = time.monotonic()

    assert direct_with(fetcher, Otherwise(), silent).heard(LONG_MS)

    assert time.monotonic() - began < LONG_MS / 2_000
    later.join()


def test_a_broker_that_has_rested_is_asked_however_silent_another_is(silent: Line) -> None:
    direct = direct_with(Fetcher(), Otherwise(), silent)
    direct._resting[OTHER] = time.monotonic() + 0.2
    began = time.monotonic()

    assert direct.heard(LONG_MS)

    assert 0.15 < time.monotonic() - began < LONG_MS / 2_000


def test_who_cannot_be_asked_directly_is_asked_the_librarys_way() -> None:
    otherwise = Otherwise()

    direct_with(Fetcher({SILENT: (b"a", {}), OTHER: (b"b", {})}), otherwise).ask()

    assert otherwise.sent == [SILENT, OTHER]


def test_partitions_that_move_while_they_are_looked_at_are_looked_at_by_the_library() -> None:
    fetcher, otherwise = Fetcher(), Otherwise()
    fetcher.requests = RuntimeError("dictionary changed size during iteration")  # type: ignore[assignment]

    direct_with(fetcher, otherwise).ask()

    assert otherwise.asked == 1


def test_what_was_not_asked_is_wanted_anew_after_an_error() -> None:
    fetcher = Fetcher({SILENT: (b"a", {}), OTHER: (b"b", {})})

    with pytest.raises(KeyboardInterrupt):
        direct_with(fetcher, Otherwise(KeyboardInterrupt())).ask()

    assert sorted(fetcher.forgotten) == [SILENT, OTHER]
    assert not fetcher._nodes_with_pending_fetch_requests
