"""Spares kafka-python work that comes to nothing: where polls bring little, it is most of them.

The library's network runs on a thread of its own. Each time a poll has that thread do something it
waits until it is done, which takes a hundred microseconds and more even where there is nothing to
do. A poll that finds nothing fetched does so three times; here it does once, or not at all where
the polling thread asks brokers itself (`kafka_direct`). And the library's thread describes all
partitions anew for each request; what else it is spared is in `kafka_io`. Where the library is not
as expected all stays as it is, which costs time and nothing else.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import structlog

from watchkeeper.daemon.lull import Lull
from watchkeeper.daemon.transport.kafka_direct import Direct, directly
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


def spare_handovers(
    consumer: Any, lull: Lull | None = None, ahead: bool = False, direct: bool = False
) -> None:
    """Changes the polls of one consumer; `lull` is told when one of them only waits.

    With `ahead` brokers are asked for what comes next before the newest records are worked off:
    they let it wait for more, and that time should not begin only then. With `direct` the polling
    thread asks them itself.
    """
    fetcher: Any = getattr(consumer, "_fetcher", None)
    coordinator = getattr(consumer, "_coordinator", None)
    known = all(hasattr(fetcher, name) for name in _FETCHER)
    if not known or not all(hasattr(coordinator, name) for name in _COORDINATOR):
        log.warning("kafka-python is not as expected: polls cost more than they need to")
        return
    _trust_coordinator(coordinator)
    name_no_sockets(getattr(fetcher._net, "_selector", None))
    handed = Handed(fetcher, lull)
    way = directly(fetcher, handed, lull) if direct else None
    _ask_and_wait_at_once(fetcher, way or handed, ahead)


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


class Handed:
    """Fetches that the library's thread sends and hears, in one go.

    An answer may come after a poll has looked for one. The library then asks for all partitions but
    the answered ones, and waits for these, in which nothing may happen for as long as a broker
    waits: here what has come is taken first.
    """

    def __init__(self, fetcher: Any, lull: Lull | None) -> None:
        self._fetcher = fetcher
        self._waits = _Waits(fetcher, lull)

    def ask(self) -> None:
        """Asks the brokers for what is wanted and not asked for yet."""
        self._fetcher._net.run(self._sent)

    def send(self, requests: Mapping[Any, Any]) -> None:
        """Sends requests that were made by the thread that polls."""
        self._fetcher._net.run(self._sent_made, requests)

    def heard(self, timeout_ms: float) -> bool:
        """Asks, and waits for the first answer; whether there was anything to wait for."""
        return bool(self._fetcher._net.run(self._answered, timeout_ms))

    async def _sent(self) -> bool:
        """On the library's thread, on which answers come, too: False where one has come."""
        if self._fetcher._completed_fetches:
            return False
        await self._fetcher._send_fetches_async()
        return True

    async def _sent_made(self, requests: Mapping[Any, Any]) -> None:
        """Sends each by itself: what one broker refuses is not the others' trouble."""
        make, errors = self._fetcher._create_fetch_requests, list[Exception]()
        for node, asked in requests.items():
            self._fetcher._create_fetch_requests = partial(dict, {node: asked})
            try:
                await self._fetcher._send_fetches_async()
            except Exception as error:  # noqa: BLE001 - raised below
                self._fetcher._handle_fetch_error(node, error)
                self._fetcher._clear_pending_fetch_request(node, None)
                errors.append(error)
            finally:
                self._fetcher._create_fetch_requests = make
        if errors:
            raise errors[0]

    async def _answered(self, timeout_ms: float) -> bool:
        from kafka.errors import KafkaTimeoutError
        from kafka.future import Future

        if not await self._sent():
            return True
        under_way = list(self._fetcher._fetch_futures)
        reset = self._fetcher._reset_task
        if reset is not None and not reset.is_done:
            under_way.append(reset)
        if not under_way:
            return False
        first = Future()
        for each in under_way:
            each.add_both(lambda _: first.is_done or first.success(None))
        with suppress(KafkaTimeoutError), self._waits.inside():
            await self._fetcher._manager.wait_for(first, timeout_ms)
        return True


def _ask_and_wait_at_once(fetcher: Any, way: Handed | Direct, ahead: bool) -> None:
    """Has polls take what has come, ask and wait by the given way."""

    def fetching(
        max_records: int | None = None,
        update_offsets: bool = True,
        timeout_ms: float | None = None,
    ) -> tuple[dict[Any, Any], bool]:
        records, partial = fetcher.fetched_records(max_records, update_offsets=update_offsets)
        waited = not records
        if waited:
            if not way.heard(timeout_ms or 0.0):
                return records, True
            records, partial = fetcher.fetched_records(max_records, update_offsets=update_offsets)
        asks = not _more_waits(fetcher, records) if ahead else not waited
        if asks and records and not partial:
            way.ask()
        return records, False

    fetcher.fetch_records = fetching


def _more_waits(fetcher: Any, places: Iterable[Any]) -> bool:
    """Whether the brokers had more of these partitions than they gave. That is answered at once,
    and an answer that comes while others are worked off only takes room."""
    known = fetcher._subscriptions.assignment
    states = [state for state in map(known.get, places) if state is not None]
    return any(each.highwater is None or each.position.offset < each.highwater for each in states)
