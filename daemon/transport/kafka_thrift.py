"""Spares kafka-python work that comes to nothing: where polls bring little, it is most of them.

The library's network runs on a thread of its own. Each time a poll has that thread do something it
waits until it is done, which takes a hundred microseconds and more even where there is nothing to
do. A poll that finds nothing fetched does so three times; here it does once. And that thread
describes all partitions anew for each request; what else it is spared is in `kafka_io`. Where the
library is not as expected all stays as it is, which costs time and nothing else.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import structlog

from watchkeeper.daemon.lull import Lull
from watchkeeper.daemon.transport.kafka_io import name_no_sockets

log = structlog.get_logger()

_FETCHER = (
    "fetch_records",
    "fetched_records",
    "_send_fetches_async",
    "_fetch_futures",
    "_completed_fetches",
    "_subscriptions",
)
_COORDINATOR = ("ensure_coordinator_ready", "coordinator_id", "_client")
_MOST_DESCRIBED = 4_096


def describe_once() -> None:
    """Has the library make one description of what it asks of a partition for as long as it asks
    the same, and see at a glance that it does. Idempotent."""
    from kafka.consumer import fetcher

    made: Any = getattr(fetcher, "_FetchPartition", None)
    if hasattr(made, "cache_info"):
        return
    if not hasattr(made, "__eq__") or made.__hash__ is not None:
        log.warning("kafka-python is not as expected: fetches cost more than they need to")
        return
    compare = made.__eq__

    def alike(one: Any, other: Any) -> bool:
        return one is other or bool(compare(one, other))

    made.__eq__ = alike
    fetcher._FetchPartition = functools.lru_cache(_MOST_DESCRIBED)(made)


def spare_handovers(consumer: Any, lull: Lull | None = None, ahead: bool = False) -> None:
    """Changes the polls of one consumer; `lull` is told when one of them only waits.

    With `ahead` brokers are asked for what comes next before the newest records are worked off:
    they let it wait for more, and that time should not begin only then.
    """
    fetcher: Any = getattr(consumer, "_fetcher", None)
    coordinator = getattr(consumer, "_coordinator", None)
    known = all(hasattr(fetcher, name) for name in _FETCHER)
    if not known or not all(hasattr(coordinator, name) for name in _COORDINATOR):
        log.warning("kafka-python is not as expected: polls cost more than they need to")
        return
    _trust_coordinator(coordinator)
    name_no_sockets(getattr(fetcher._net, "_selector", None))
    _ask_and_wait_at_once(fetcher, _Waits(fetcher, lull), ahead)


def _trust_coordinator(coordinator: Any) -> None:
    """Has nobody asked for a coordinator that is known and connected."""
    ensure = coordinator.ensure_coordinator_ready

    def ensuring(timeout_ms: int | None = None) -> Any:
        known = coordinator.coordinator_id
        if known is not None and not coordinator._client.is_disconnected(known):
            return True
        return ensure(timeout_ms=timeout_ms)

    coordinator.ensure_coordinator_ready = ensuring


class _Waits:
    """Tells a lull of each wait of the library's thread that falls into `inside`."""

    def __init__(self, fetcher: Any, lull: Lull | None) -> None:
        self._polled = False
        selector: Any = getattr(fetcher._net, "_selector", None)
        select = getattr(selector, "select", None)
        if lull is None or select is None:
            return

        def selecting(timeout: float | None = None) -> Any:
            if not self._polled or timeout == 0:
                return select(timeout)
            lull.begin()
            try:
                return select(timeout)
            finally:
                lull.end()

        selector.select = selecting
        lull.end()

    @contextmanager
    def inside(self) -> Iterator[None]:
        """A poll waits for an answer within; on the library's thread."""
        self._polled = True
        try:
            yield
        finally:
            self._polled = False


def _ask_and_wait_at_once(fetcher: Any, waits: _Waits, ahead: bool) -> None:
    """Sends the fetches, and waits for the first answer, in one go.

    An answer may come after a poll has looked for one. The library then asks for all partitions but
    the answered ones, and waits for these, in which nothing may happen for as long as a broker
    waits: here what has come is taken first.
    """
    from kafka.errors import KafkaTimeoutError
    from kafka.future import Future

    async def sent() -> bool:
        """On the library's thread, on which answers come, too: False where one has come."""
        if fetcher._completed_fetches:
            return False
        await fetcher._send_fetches_async()
        return True

    async def answered(timeout_ms: float | None) -> bool:
        """On the library's thread: whether there was anything to wait for."""
        if not await sent():
            return True
        under_way = list(fetcher._fetch_futures)
        reset = fetcher._reset_task
        if reset is not None and not reset.is_done:
            under_way.append(reset)
        if not under_way:
            return False
        first = Future()
        for each in under_way:
            each.add_both(lambda _: first.is_done or first.success(None))
        with suppress(KafkaTimeoutError), waits.inside():
            await fetcher._manager.wait_for(first, timeout_ms)
        return True

    def fetching(
        max_records: int | None = None,
        update_offsets: bool = True,
        timeout_ms: float | None = None,
    ) -> tuple[dict[Any, Any], bool]:
        records, partial = fetcher.fetched_records(max_records, update_offsets=update_offsets)
        waited = not records
        if waited:
            if not fetcher._net.run(answered, timeout_ms):
                return records, True
            records, partial = fetcher.fetched_records(max_records, update_offsets=update_offsets)
        asks = not _more_waits(fetcher, records) if ahead else not waited
        if asks and records and not partial:
            fetcher._net.run(sent)
        return records, False

    fetcher.fetch_records = fetching


def _more_waits(fetcher: Any, places: Iterable[Any]) -> bool:
    """Whether the brokers had more of these partitions than they gave. That is answered at once,
    and an answer that comes while others are worked off only takes room."""
    known = fetcher._subscriptions.assignment
    states = [state for state in map(known.get, places) if state is not None]
    return any(each.highwater is None or each.position.offset < each.highwater for each in states)
