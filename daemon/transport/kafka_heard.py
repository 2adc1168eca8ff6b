"""When a broker last answered for a partition: an answer without records is a sign of life too."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from typing import Any

import structlog

from watchkeeper.daemon.transport.ports import Partition

log = structlog.get_logger()

# A partition whose broker has not answered for so long may have events that nobody here knows of,
# so time must not pass. Well below the usual lateness, so that what is held up does not count as
# late afterwards.
HEARD_S = 2.0


class Heard:
    """Notes the brokers' answers to fetches, empty ones too, of one consumer after another.

    An answer counts once a poll has taken it, from when it was asked for: before, nobody knows what
    is in it. Brokers may take `wait_s` over an answer when there is nothing new.
    """

    def __init__(self, wait_s: float) -> None:
        self._patience = HEARD_S + wait_s
        self._at: dict[tuple[str, int], float] = {}
        self._come: deque[dict[tuple[str, int], float]] = deque()
        self._listening = False

    def listen(self, consumer: Any) -> None:
        """Listens to a new consumer. Where the library is not as expected all count as heard."""
        self._at, self._come = {}, deque()
        fetcher: Any = getattr(consumer, "_fetcher", None)
        answered = getattr(fetcher, "_handle_fetch_response", None)
        take = getattr(fetcher, "fetched_records", None)
        self._listening = answered is not None and take is not None
        if answered is None or take is None:
            log.warning("kafka-python is not as expected: a silent broker is noticed later")
            return
        come = self._come

        def noting(node: Any, asked: Any, sent: float, answer: Any) -> None:
            """On the thread that heard it: the library's own, or the polling one."""
            answered(node, asked, sent, answer)
            if not answer.error_code:
                at = dict.fromkeys(asked, sent)
                for place in _refused(answer):
                    at.pop(place, None)
                come.append(at)

        def taking(*args: Any, **named: Any) -> Any:
            there = len(come)  # what comes from here on may be taken now, or by the next poll
            found = take(*args, **named)
            _, some_are_left = found
            if not some_are_left:
                for _ in range(there):
                    self._at |= come.popleft()
            return found

        fetcher._handle_fetch_response, fetcher.fetched_records = noting, taking

    def all(self, partitions: Iterable[Partition]) -> bool:
        """Whether each partition's broker was asked lately, and has answered."""
        if not self._listening:
            return True
        at, since = self._at, time.monotonic() - self._patience
        return all(at.get(partition, since) > since for partition in partitions)


def _refused(answer: Any) -> list[tuple[str, int]]:
    """The partitions that the broker would tell nothing of; it lists only those with news."""
    news = ((topic.topic, each) for topic in answer.responses for each in topic.partitions)
    return [(topic, each.partition_index) for topic, each in news if each.error_code]
