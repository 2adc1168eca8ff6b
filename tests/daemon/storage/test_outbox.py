"""What must be told is told: in order, again after a failure, and not more than is still true."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from threading import Event
from typing import Any, NoReturn

import msgspec
import pytest

from tests.daemon.storage.examples import T0, letter
from tests.daemon.storage.receivers import RETRY, Clock, Receiver, Topics, on
from tests.services.base import wait_until
from watchkeeper.daemon.storage.database import DatabaseDown
from watchkeeper.daemon.storage.outbox import OK, Delivery, Outbox
from watchkeeper.daemon.storage.store import Store
from watchkeeper.daemon.storage.values import OutboxRow


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
def outbox(store: Store, receiver: Receiver, clock: Clock) -> Outbox:
    return Outbox(store.letters, {"sentry": receiver}, clock=clock, chance=lambda: 1.0)


def drain(outbox: Outbox, clock: Clock, seconds: float = 0.0) -> None:
    clock.now += seconds
    while outbox.deliver_due("sentry"):
        pass


def test_messages_are_told_once_and_in_order(
    store: Store, outbox: Outbox, receiver: Receiver, clock: Clock
) -> None:
    store.letters.add([letter(f"m{i}") for i in range(3)])
    store.letters.add([letter("m1")])

    drain(outbox, clock)
    drain(outbox, clock, 1_000)

    assert receiver.ids == ["m0", "m1", "m2"]
    assert receiver.got[0].headers == letter().headers
    assert store.letters.pending("sentry") == 0


def test_messages_of_no_incident_go_in_one_batch(
    store: Store, outbox: Outbox, receiver: Receiver
) -> None:
    store.letters.add([letter(f"m{i}", incident=None) for i in range(120)])

    tried = outbox.deliver_due("sentry")

    assert tried == 50
    assert receiver.ids == [f"m{i}" for i in range(50)]


def test_a_failed_message_keeps_the_next_of_its_incident_waiting(
    store: Store, receiver: Receiver, clock: Clock
) -> None:
    receiver.plan = [RETRY]
    plain = Outbox(
        store.letters,
        {"sentry": receiver},
        collapse=frozenset(),
        clock=clock,
        chance=lambda: 1.0,
    )
    store.letters.add([letter("a1", "inc-a"), letter("a2", "inc-a"), letter("b1", "inc-b")])

    drain(plain, clock)
    assert receiver.ids == ["b1"]
    drain(plain, clock, 2)

    assert receiver.ids == ["b1", "a1", "a2"]
    assert receiver.got[1].attempts == 1


def test_waiting_grows_up_to_the_cap(
    store: Store, outbox: Outbox, receiver: Receiver, clock: Clock
) -> None:
    receiver.plan = [RETRY] * 12
    store.letters.add([letter()])
    assert outbox.deliver_due("sentry")

    for wait in (1, 2, 4, 8, 16, 32, 64, 128, 256, outbox.cap_s, outbox.cap_s):
        clock.now += wait - 0.5
        assert not outbox.deliver_due("sentry"), f"before {wait} s were over"
        clock.now += 0.5
        assert outbox.deliver_due("sentry"), f"after {wait} s"


def test_the_other_sides_wish_to_wait_holds_for_the_whole_channel(
    store: Store, outbox: Outbox, receiver: Receiver, clock: Clock
) -> None:
    receiver.plan = [Delivery("retry", "429", after=90.0)]
    store.letters.add([letter("a", "inc-a")])
    drain(outbox, clock)
    store.letters.add([letter("b", "inc-b")])

    drain(outbox, clock, 89)
    assert receiver.calls == 1
    drain(outbox, clock, 1)

    assert sorted(receiver.ids) == ["a", "b"]


def test_after_an_outage_only_the_newest_of_each_incident_is_told(
    store: Store, outbox: Outbox, receiver: Receiver, clock: Clock
) -> None:
    receiver.plan = [RETRY]
    store.letters.add([letter("a1", "inc-a")])
    drain(outbox, clock)
    store.letters.add([letter("a2", "inc-a"), letter("a3", "inc-a"), letter("b1", "inc-b")])

    drain(outbox, clock, 10)

    assert sorted(receiver.ids) == ["a3", "b1"]
    told = {row.id: row.collapsed for row in receiver.got}
    assert told == {"a3": 2, "b1": 0}
    assert outbox.counts()["sentry", "collapsed"] == 2


def test_prompt_messages_are_never_collapsed(
    store: Store, outbox: Outbox, receiver: Receiver, clock: Clock
) -> None:
    store.letters.add([letter(f"m{i}") for i in range(4)])

    drain(outbox, clock, 59)

    assert len(receiver.got) == 4


def test_messages_left_lying_are_collapsed(
    store: Store, outbox: Outbox, receiver: Receiver, clock: Clock
) -> None:
    store.letters.add([letter(f"m{i}") for i in range(4)])

    drain(outbox, clock, 3_600)

    assert receiver.ids == ["m3"]


def test_a_refused_message_is_kept_and_does_not_block(
    store: Store, outbox: Outbox, receiver: Receiver, clock: Clock
) -> None:
    receiver.plan = [Delivery("blocked", "413")]
    store.letters.add([letter("m1"), letter("m2")])

    drain(outbox, clock)
    drain(outbox, clock, 1_000)

    assert receiver.ids == ["m2"]
    assert store.letters.refused("sentry") == 1


def test_what_a_crashed_sender_had_in_hand_is_told_after_its_hold(
    store: Store, outbox: Outbox, receiver: Receiver, clock: Clock
) -> None:
    store.letters.add([letter()])
    store.letters.take("sentry", clock.now, hold=120.0, limit=10)

    drain(outbox, clock, 59)
    assert receiver.got == []
    drain(outbox, clock, 61)

    assert receiver.ids == ["m1"]


@pytest.mark.parametrize("said", [OK, RETRY, Delivery("blocked", "413")], ids=lambda d: d.outcome)
def test_what_was_told_while_the_database_went_away_is_recorded_once_it_is_back(
    store: Store,
    outbox: Outbox,
    receiver: Receiver,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    said: Delivery,
) -> None:
    receiver.plan = [said]
    store.letters.add([letter()])
    with monkeypatch.context() as away:
        for call in ("sent", "blocked", "retry"):
            away.setattr(store.letters, call, gone)
        for _ in range(5):
            with pytest.raises(DatabaseDown):
                outbox.deliver_due("sentry")

    assert receiver.calls == 1
    outbox.deliver_due("sentry")
    clock.now += 1_000.0
    outbox.deliver_due("sentry")

    assert receiver.calls == (2 if said is RETRY else 1)
    assert store.letters.pending("sentry") == 0
    assert outbox.counts()["sentry", said.outcome] == 1


def test_who_stops_records_what_was_told_though_the_database_was_away_just_now(
    store: Store, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.letters.add([letter()])
    sent, failed = store.letters.sent, Event()

    def away_once(*given: Any) -> None:
        if failed.is_set():
            return sent(*given)
        failed.set()
        gone()

    monkeypatch.setattr(store.letters, "sent", away_once)
    outbox = Outbox(store.letters, {"sentry": receiver}, base_s=1_000, database_cap_s=1_000)
    outbox.start()
    assert failed.wait(10)

    assert outbox.stop(10)

    assert receiver.calls == 1
    assert store.letters.pending("sentry") == 0


def test_what_cannot_be_recorded_holds_up_nothing_else(
    store: Store, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.letters.add([letter("a", "inc-a"), letter("b", "inc-b")])
    sent = store.letters.sent

    def refused(ids: Sequence[str], at: float) -> None:
        if "a" in ids:
            raise ValueError("it cannot be")
        sent(ids, at)

    monkeypatch.setattr(store.letters, "sent", refused)
    outbox = Outbox(store.letters, {"sentry": receiver}, batch=1, base_s=0.01, poll_s=0.01)

    running(outbox, lambda: "b" in receiver.ids)

    assert store.letters.pending("sentry") == 1


def test_a_database_that_is_back_is_asked_soon(
    store: Store, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.letters.add([letter()])
    asked, back = Event(), Event()
    take = store.letters.take

    def away(*given: Any) -> Any:
        asked.set()
        return take(*given) if back.is_set() else gone()

    monkeypatch.setattr(store.letters, "take", away)
    outbox = Outbox(
        store.letters, {"sentry": receiver}, base_s=1_000, database_cap_s=0.01, poll_s=0.01
    )
    outbox.start()
    assert asked.wait(10)
    back.set()

    wait_until(lambda: receiver.ids == ["m1"], 10, "the message")
    assert outbox.stop(10)


def gone(*_: object) -> NoReturn:
    raise DatabaseDown("disk I/O error")


def test_a_sender_that_starts_tells_at_once_what_a_crashed_one_had_in_hand(
    store: Store, receiver: Receiver, clock: Clock
) -> None:
    store.letters.add([letter("a")])
    store.letters.take("sentry", T0, hold=120.0, limit=10)  # and then it crashed

    outbox = Outbox(store.letters, {"sentry": receiver}, clock=clock)
    outbox.start()

    wait_until(lambda: receiver.ids == ["a"], 10, "the message")
    assert outbox.stop(10)


def test_two_senders_do_not_take_the_same_message(store: Store, clock: Clock) -> None:
    store.letters.add([letter(f"m{i}", incident=None) for i in range(40)])
    taken: list[str] = []

    def take() -> None:
        for _ in range(5):
            taken.extend(row.id for row in store.letters.take("sentry", clock.now, 60.0, 10))

    threads = [threading.Thread(target=take) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert sorted(taken) == sorted(set(taken))
    assert len(taken) == 40


def test_old_told_messages_are_forgotten_and_waiting_ones_are_not(
    store: Store, outbox: Outbox, receiver: Receiver, clock: Clock
) -> None:
    store.letters.add([letter("m1")])
    drain(outbox, clock)
    store.letters.add([msgspec.structs.replace(letter("m2"), created_at=T0 - 99)])

    assert store.letters.prune(before=T0 + 1) == 1
    assert store.letters.oldest("sentry") == T0 - 99


def running(outbox: Outbox, until: Callable[[], bool]) -> None:
    outbox.start()
    try:
        outbox.wake()
        wait_until(until, 10.0, "the sender")
    finally:
        assert outbox.stop(10.0)


def test_the_sender_wakes_and_stops(store: Store, receiver: Receiver) -> None:
    outbox = Outbox(store.letters, {"sentry": receiver}, poll_s=60.0)
    store.letters.add([letter("m1"), letter("m2")])

    running(outbox, lambda: len(receiver.got) >= 1)

    assert receiver.ids in (["m1", "m2"], ["m2"])


def test_what_came_just_before_the_stop_is_told(store: Store, receiver: Receiver) -> None:
    outbox = Outbox(store.letters, {"sentry": receiver}, poll_s=60.0)
    outbox.start()
    store.letters.add([letter("last")])

    assert outbox.stop(10.0)

    assert receiver.ids == ["last"]


def test_a_deliverer_that_raises_does_not_end_the_sender(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    told: list[str] = []

    def broken_once(rows: Sequence[OutboxRow]) -> list[Delivery]:
        if not told:
            told.append("raised")
            raise RuntimeError("a bug")
        told.extend(row.id for row in rows)
        return [OK for _ in rows]

    outbox = Outbox(store.letters, {"sentry": broken_once}, base_s=0.01, hold_s=0.0, poll_s=0.02)
    store.letters.add([letter()])

    running(outbox, lambda: "m1" in told)

    assert outbox.counts()["sentry", "error"] == 1
    capsys.readouterr()


def test_a_dead_channel_does_not_delay_another(store: Store) -> None:
    held = threading.Event()
    told: list[str] = []

    def dead(rows: Sequence[OutboxRow]) -> list[Delivery]:
        held.wait(10)
        return [OK for _ in rows]

    def alive(rows: Sequence[OutboxRow]) -> list[Delivery]:
        told.extend(row.id for row in rows)
        return [OK for _ in rows]

    outbox = Outbox(store.letters, {"sentry": dead, "kafka": alive})
    store.letters.add([letter("s"), letter("k", channel="kafka")])
    outbox.start()
    try:
        wait_until(lambda: told == ["k"], 10.0, "the channel that lives")
    finally:
        held.set()
        assert outbox.stop(10.0)


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


@pytest.mark.parametrize("waiting", [0, 1])
def test_where_nothing_waits_one_look_is_enough(
    store: Store, outbox: Outbox, receiver: Receiver, waiting: int
) -> None:
    store.letters.add([letter(f"m{i}") for i in range(waiting)])
    outbox.letters.expire = gone  # type: ignore[assignment,method-assign]

    if waiting:
        with pytest.raises(DatabaseDown):
            outbox.deliver_due("sentry")
    else:
        assert outbox.deliver_due("sentry") == 0
