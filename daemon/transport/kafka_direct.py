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
from watchkeeper.daemon.transport.standstill import Stuck

log = structlog.get_logger()

_FETCHER = (
    "_completed_fetches",
    "_create_fetch_requests",
    "_fetch_futures",
    "_handle_fetch_response",
    "_handle_fetch_error",
    "_clear_pending_fetch_request",
    "_nodes_with_pending_fetch_requests",
    "_reset_task",
)
_GLANCE_S = 0.005  # between two looks where the library waits for brokers, too


class Otherwise(Protocol):
    """The library's way."""

    def ask(self) -> None:
        """Asks the brokers for what is wanted and not asked for yet."""

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
            # Partitions are dealt out anew at this moment, by the library's thread.
            self._otherwise.ask()
            return
        try:
            others = {
                node: asked for node, asked in requests.items() if not self._send(node, *asked)
            }
            if others:
                self._otherwise.send(others)
        except BaseException as error:
            for node in requests.keys() - self._asked.keys():
                self._forget(node, error)
            raise

    def heard(self, timeout_ms: float) -> bool:
        """Asks, and waits for the first answer; whether there was anything to wait for."""
        if self._fetcher._completed_fetches:
            return True
        self.ask()
        if not self._asked:
            return self._otherwise.heard(timeout_ms)
        deadline = min([time.monotonic() + timeout_ms / 1000, *self._resting.values()])
        begun = self._under_way()
        while self._under_way() >= begun and not self._fetcher._completed_fetches:
            left = max(deadline - time.monotonic(), 0.0)
            mixed = self._under_way() > len(self._asked)
            self._take(min(left, _GLANCE_S) if mixed else left)
            if left <= 0.0:
                break
        return True

    def _under_way(self) -> int:
        """How many answers are waited for, here and by the library."""
        reset = self._fetcher._reset_task
        others = sum(not each.is_done for each in self._fetcher._fetch_futures)
        return len(self._asked) + others + (reset is not None and not reset.is_done)

    # ------------------------------------------------------------------------------- requests

    def _send(self, node: Any, request: Any, offsets: Any) -> bool:
        line = self._lines.to(node)
        if line is None:
            return False
        asked = self._asked[node] = _Asked(line, offsets, time.monotonic())
        with self._lost_by_errors(node, asked):
            self._fetcher._nodes_with_pending_fetch_requests.add(node)
            line.send(request)
        return True

    @contextmanager
    def _lost_by_errors(self, node: Any, asked: _Asked) -> Iterator[None]:
        """An error within ends the connection, and what was asked is asked the library's way. That
        the poll is broken off is raised on."""
        try:
            yield
        except Exception as error:  # whatever an odd answer makes the parser raise
            self._lose(node, asked, error)
            if isinstance(error, Stuck):
                raise
            log.info("asking a broker the library's way", broker=f"{node}", reason=f"{error}"[:300])
        except BaseException as error:
            self._lose(node, asked, error)
            raise

    def _lose(self, node: Any, asked: _Asked, error: BaseException) -> None:
        self._asked.pop(node, None)
        self._forget(node, error)
        self._lines.close(asked.line, error)

    def _forget(self, node: Any, error: BaseException) -> None:
        """What was asked of a broker will not be answered: it is asked for everything anew."""
        self._fetcher._handle_fetch_error(node, error)
        self._fetcher._clear_pending_fetch_request(node, None)

    # -------------------------------------------------------------------------------- answers

    def _take(self, timeout_s: float) -> None:
        """Takes what comes until the first of it, for so many seconds at most."""
        looked, nodes = select.poll(), {}
        for node, asked in list(self._asked.items()):
            with self._lost_by_errors(node, asked):
                number = asked.line.fileno()
                looked.register(
                    number, select.POLLIN | (select.POLLOUT if asked.line.unsent else 0)
                )
                nodes[number] = node
        for number, _ in self._moved(looked, timeout_s) if nodes else ():
            asked = self._asked[nodes[number]]
            with self._lost_by_errors(nodes[number], asked):
                for answer in asked.line.moved():
                    self._answered(nodes[number], asked, answer)
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
        patience, now = self._lines.patience_s, time.monotonic()
        for node, asked in list(self._asked.items()):
            with self._lost_by_errors(node, asked):
                if now - max(asked.sent_at, asked.line.heard_at) > patience:
                    raise TimeoutError(f"silent for {patience:g} s")
