"""What must be told on Kafka: each topic by itself, states by key, orders in time."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tests.daemon.storage.examples import T0
from tests.daemon.storage.receivers import RETRY, Clock, Topics, on
from watchkeeper.daemon.storage.outbox import OK, Delivery, Outbox
from watchkeeper.daemon.storage.store import Store
from watchkeeper.daemon.storage.values import OutboxRow


def test_a_topic_that_takes_nothing_does_not_silence_another(store: Store, clock: Clock) -> None:
    broker = Topics({"denied"})
    outbox = Outbox(store.letters, {"kafka": broker}, clock=clock, chance=lambda: 1.0)
    store.letters.add([on("denied", f"d{i}") for i in range(200)])
    for _ in range(600):
        clock.now += 1.0
        outbox.deliver_due("kafka")

    store.letters.add([on("actions", "order")])
    clock.now += 1.0
    outbox.deliver_due("kafka")

    assert broker.got == ["order"]


def test_the_newest_state_of_a_key_is_delivered_last(store: Store, clock: Clock) -> None:
    """A compacted topic keeps what came last: that must not be an older incident's word."""
    told: list[str] = []
    answers = [RETRY]

    def flaky(rows: Sequence[OutboxRow]) -> list[Delivery]:
        said = [answers.pop() if answers else OK for _ in rows]
        told.extend(r.id for r, a in zip(rows, said, strict=True) if a is OK)
        return said

    outbox = Outbox(store.letters, {"kafka": flaky}, clock=clock, chance=lambda: 1.0)
    states = [on("models.state", name, b"fraud") for name in ("inc-1 healthy", "inc-2 faulty")]
    other = on("models.state", "another model", b"churn")
    of = zip([*states, other], ("inc-1", "inc-2", "inc-3"), strict=True)
    store.letters.add([msgspec.structs.replace(row, incident_id=each) for row, each in of])

    for _ in range(5):
        outbox.deliver_due("kafka")
        clock.now += 2.0

    assert told == ["another model", "inc-1 healthy", "inc-2 faulty"]


def test_an_order_is_never_delivered_after_its_time(store: Store, clock: Clock) -> None:
    broker = Topics({"actions"})
    outbox = Outbox(store.letters, {"kafka": broker}, clock=clock)
    store.letters.add([msgspec.structs.replace(on("actions", "order"), expires_at=T0 + 65)])
    outbox.deliver_due("kafka")

    broker.denied.clear()
    clock.now = T0 + 65
    outbox.deliver_due("kafka")

    assert broker.got == []
    assert store.letters.pending("kafka") == 0
    assert outbox.counts()["kafka", "expired"] == 1


def test_an_order_waits_for_no_message_that_has_no_deadline(store: Store, clock: Clock) -> None:
    answers = [RETRY]

    def flaky(rows: Sequence[OutboxRow]) -> list[Delivery]:
        told.extend(row.id for row in rows)
        return [answers.pop() if answers else OK for _ in rows]

    told: list[str] = []
    outbox = Outbox(store.letters, {"kafka": flaky}, clock=clock)
    order = msgspec.structs.replace(on("actions", "order", b"m"), expires_at=T0 + 65)
    store.letters.add([on("actions", "planned", b"m"), order])

    outbox.deliver_due("kafka")

    assert told == ["planned", "order"]
