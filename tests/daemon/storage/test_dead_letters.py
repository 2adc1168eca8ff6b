"""Dead letters: told without delaying anything else, and no more of them kept than was said."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tests.daemon.storage.examples import T0, dead_letter
from tests.daemon.storage.receivers import Clock, Topics, on
from watchkeeper.daemon.storage import snapshots
from watchkeeper.daemon.storage.outbox import Outbox
from watchkeeper.daemon.storage.retention import Most
from watchkeeper.daemon.storage.store import Store
from watchkeeper.daemon.storage.values import Checkpoint


def test_dead_letters_that_cannot_be_delivered_delay_no_order(store: Store, clock: Clock) -> None:
    broker = Topics({"dlq.predictions"})
    outbox = Outbox(store.letters, {"kafka": broker, "dlq": broker}, clock=clock)
    flood = [on("dlq.predictions", f"d{i}", b"fraud", channel="dlq") for i in range(300)]
    store.letters.add([*flood, on("actions", "order", b"fraud")])

    outbox.deliver_due("dlq")
    outbox.deliver_due("kafka")

    assert broker.got == ["order"]
    assert store.letters.pending("dlq") == 300


def test_dead_letters_of_one_key_go_in_one_batch(store: Store, clock: Clock) -> None:
    broker = Topics(set())
    outbox = Outbox(store.letters, {"dlq": broker}, clock=clock)
    store.letters.add([on("dlq.labels", f"d{i}", b"fraud", channel="dlq") for i in range(400)])

    assert outbox.deliver_due("dlq") == 400

    assert store.letters.pending("dlq") == 0


def test_the_oldest_of_too_many_dead_letters_are_skipped(store: Store, clock: Clock) -> None:
    broker = Topics(set())
    outbox = Outbox(store.letters, {"dlq": broker}, letters_most=Most(30, 1 << 20), clock=clock)
    store.letters.add([on("dlq.labels", f"d{i}", channel="dlq") for i in range(40)])

    outbox.deliver_due("dlq")

    assert broker.got == [f"d{i}" for i in range(10, 40)]
    assert outbox.counts()["dlq", "skipped"] == 10


def test_dead_letters_that_wait_carry_so_many_bytes(store: Store, clock: Clock) -> None:
    broker = Topics(set())
    outbox = Outbox(store.letters, {"dlq": broker}, letters_most=Most(100, 45), clock=clock)
    rows = [on("dlq.labels", f"d{i}", channel="dlq") for i in range(9)]
    store.letters.add([msgspec.structs.replace(row, payload=b"x" * 10) for row in rows])

    outbox.deliver_due("dlq")

    assert broker.got == ["d5", "d6", "d7", "d8"]
    assert outbox.counts()["dlq", "skipped"] == 5


def refuse(store: Store, offsets: range, replayed: Sequence[int] = ()) -> None:
    letters = [msgspec.structs.replace(dead_letter(i), value=b"x" * 20) for i in offsets]
    store.commit(Checkpoint(at=T0, epochs={}, dead_letters=letters))
    for each in store.records.dead_letters(limit=1_000):
        if each.offset in replayed:
            store.records.mark_replayed(each.id, T0)


def kept(store: Store) -> list[int]:
    return [each.offset for each in store.records.dead_letters(limit=1_000)][::-1]


def test_of_too_many_refused_records_those_sent_once_more_go_first(
    store: Store, clock: Clock
) -> None:
    outbox = Outbox(store.letters, {"dlq": Topics(set())}, dead_most=Most(6, 1 << 20), clock=clock)
    refuse(store, range(10), replayed=[1, 8, 9])

    outbox.deliver_due("dlq")

    assert kept(store) == [2, 3, 4, 5, 6, 7]
    assert outbox.counts()["dlq", "dropped"] == 1
    refuse(store, range(10, 13))
    outbox.deliver_due("dlq")
    assert kept(store) == [5, 6, 7, 10, 11, 12]
    assert outbox.counts()["dlq", "dropped"] == 4


def test_refused_records_sent_once_more_are_kept_where_there_is_room(
    store: Store, clock: Clock
) -> None:
    outbox = Outbox(store.letters, {"dlq": Topics(set())}, dead_most=Most(6, 1 << 20), clock=clock)
    refuse(store, range(8), replayed=[0, 1, 2, 3])

    outbox.deliver_due("dlq")

    assert kept(store) == [2, 3, 4, 5, 6, 7]
    assert ("dlq", "dropped") not in outbox.counts()


def test_refused_records_carry_so_many_bytes(store: Store, clock: Clock) -> None:
    size = 20 + len(b"fraud") + len(snapshots.encode(dead_letter().headers))
    outbox = Outbox(
        store.letters, {"dlq": Topics(set())}, dead_most=Most(99, 3 * size), clock=clock
    )
    refuse(store, range(10))

    outbox.deliver_due("dlq")

    assert kept(store) == [7, 8, 9]
    assert outbox.counts()["dlq", "dropped"] == 7


def test_the_table_of_refused_records_is_not_looked_through_for_each_new_one(
    store: Store, clock: Clock
) -> None:
    outbox = Outbox(
        store.letters, {"dlq": Topics(set())}, dead_most=Most(200, 1 << 20), clock=clock
    )
    refuse(store, range(200))
    outbox.deliver_due("dlq")

    refuse(store, range(200, 202))
    outbox.deliver_due("dlq")
    within = len(kept(store))
    refuse(store, range(202, 203))
    outbox.deliver_due("dlq")

    assert (within, len(kept(store))) == (202, 200)


def test_of_a_told_dead_letter_no_second_copy_is_kept(store: Store, clock: Clock) -> None:
    outbox = Outbox(store.letters, {"dlq": Topics(set())}, clock=clock)
    store.letters.add([on("dlq.labels", "d1", channel="dlq")])

    outbox.deliver_due("dlq")

    assert store.letters.prune(T0 + 1e9) == 0
