"""Fetches that the polling thread itself sends and hears, for as long as all is well.

Where brokers answer at once there is a fetch for a handful of events, and handing it to the
library's network thread and back costs more than working off those events does. So each broker
that is read from gets one more connection. The library makes it, with all that its settings say of
TLS and of logging in, and from then on only the polling thread sends and receives on it. Requests,
sessions and answers stay the library's own. A broker whose connection is not there (yet), or was
lost, is asked the library's way.
"""

from __future__ import annotations

import select
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from watchkeeper.daemon.lull import Lull
from watchkeeper.daemon.transport.kafka_lines import Line, Lines, known_to_lines

log = structlog.get_logger()

_FETCHER = (
    "_completed_fetches",
    "_create_fetch_requests",
    "_fetch_futures",
    "_handle_fetch_response",
    "_handle_fetch_error",
    "_clear_pending_fetch_request",
    "_nodes_with_pending_fetch_requests",
)
_GLANCE_S = 0.005  # between two looks where the library waits for brokers, too


class Otherwise(Protocol):
    """The library's way."""

    def send(self, requests: Mapping[Any, Any]) -> None:
        """Sends requests by broker."""

    def heard(self, timeout_ms: float) -> bool:
        """Asks, and waits for the first answer; whether there was anything to wait for."""


@dataclass
class _Asked:
    """A request that is under way."""

    line: Line
    offsets: Any
    sent_at: float


def directly(fetcher: Any, otherwise: Otherwise, lull: Lull | None) -> Direct | None:
    """For the fetcher of one consumer; None where the library is not as expected."""
    manager = getattr(fetcher, "_manager", None)
    if not all(hasattr(fetcher, name) for name in _FETCHER) or not known_to_lines(manager):
        log.warning("kafka-python is not as expected: findings come later than they could")
        return None
    return Direct(fetcher, Lines(manager), otherwise, lull)


class Direct:
    """Asks brokers and hears what they say. Owned by the thread that polls."""

    def __init__(
        self, fetcher: Any, lines: Lines, otherwise: Otherwise, lull: Lull | None = None
    ) -> None:
        self._fetcher = fetcher
        self._lines = lines
        self._otherwise = otherwise
        self._lull = lull or Lull()
        self._asked: dict[Any, _Asked] = {}
        self._resting: dict[Any, float] = {}

    def ask(self) -> None:
        """Asks the brokers for what is wanted and not asked for yet."""
        self._rested()
        try:
            requests = self._fetcher._create_fetch_requests()
        except (RuntimeError, KeyError, AttributeError):
            return  # partitions are dealt out anew at this moment: the next poll knows more
        others = {
            node: (request, offsets)
            for node, (request, offsets) in requests.items()
            if not self._send(node, request, offsets)
        }
        if others:
            self._otherwise.send(others)

    def heard(self, timeout_ms: float) -> bool:
        """Asks, and waits for the first answer; whether there was anything to wait for."""
        if self._fetcher._completed_fetches:
            return True
        self.ask()
        if not self._asked:
            return self._otherwise.heard(timeout_ms)
        deadline, asked = time.monotonic() + timeout_ms / 1000, len(self._asked)
        while len(self._asked) == asked and not self._fetcher._completed_fetches:
            left = max(deadline - time.monotonic(), 0.0)
            mixed = not all(each.is_done for each in self._fetcher._fetch_futures)
            self._take(min(left, _GLANCE_S) if mixed else left)
            if left <= 0.0:
                break
        return True

    # ------------------------------------------------------------------------------- requests

    def _send(self, node: Any, request: Any, offsets: Any) -> bool:
        line = self._lines.to(node)
        if line is None:
            return False
        self._fetcher._nodes_with_pending_fetch_requests.add(node)
        asked = self._asked[node] = _Asked(line, offsets, time.monotonic())
        with self._lost_by_errors(node, asked):
            line.send(request)
        return True

    @contextmanager
    def _lost_by_errors(self, node: Any, asked: _Asked) -> Iterator[None]:
        """An error within ends the connection, and what was asked is asked the library's way."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever an odd answer makes the parser raise
            self._lose(node, asked, error)
            log.info("asking a broker the library's way", broker=f"{node}", reason=f"{error}"[:300])
        except BaseException as error:
            self._lose(node, asked, error)
            raise

    def _lose(self, node: Any, asked: _Asked, error: BaseException) -> None:
        self._asked.pop(node, None)
        self._lines.close(asked.line, error)
        self._fetcher._handle_fetch_error(node, error)
        self._fetcher._clear_pending_fetch_request(node, None)

    # -------------------------------------------------------------------------------- answers

    def _take(self, timeout_s: float) -> None:
        """Takes what comes until the first of it, for so many seconds at most."""
        looked, nodes = select.poll(), {}
        for node, asked in list(self._asked.items()):
            place = asked.line.fileno()
            if place < 0:
                with self._lost_by_errors(node, asked):
                    raise ConnectionError("the connection was closed")
                continue
            looked.register(place, select.POLLIN | (select.POLLOUT if asked.line.unsent else 0))
            nodes[place] = node
        for place, _ in self._moved(looked, timeout_s) if nodes else ():
            asked = self._asked[nodes[place]]
            with self._lost_by_errors(nodes[place], asked):
                for answer in asked.line.moved():
                    self._answered(nodes[place], asked, answer)
        self._give_up()

    def _moved(self, looked: Any, timeout_s: float) -> Any:
        """The connections on which something can be sent or received."""
        if (found := looked.poll(0)) or timeout_s <= 0.0:
            return found
        self._lull.begin()
        try:
            return looked.poll(timeout_s * 1000)
        finally:
            self._lull.end()

    def _answered(self, node: Any, asked: _Asked, answer: Any) -> None:
        self._fetcher._handle_fetch_response(node, asked.offsets, asked.sent_at, answer)
        del self._asked[node]
        if answer.throttle_time_ms:
            self._resting[node] = time.monotonic() + answer.throttle_time_ms / 1000
        else:
            self._fetcher._clear_pending_fetch_request(node, None)

    def _rested(self) -> None:
        """Brokers that were to be left alone for a while may be asked once it is over."""
        now = time.monotonic()
        for node in [node for node, until in self._resting.items() if until <= now]:
            del self._resting[node]
            self._fetcher._clear_pending_fetch_request(node, None)

    def _give_up(self) -> None:
        """Loses connections on which a broker has been silent for too long."""
        now = time.monotonic()
        for node, asked in list(self._asked.items()):
            if now > asked.sent_at + self._lines.patience_s:
                with self._lost_by_errors(node, asked):
                    raise TimeoutError(f"silent for {self._lines.patience_s:g} s")
