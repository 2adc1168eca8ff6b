"""What must be told is told: in order, again after a failure, and not more than is still true."""

from __future__ import annotations

import threading

import msgspec

from tests.daemon.storage.examples import T0, letter
from tests.daemon.storage.receivers import RETRY, Clock, Receiver
from watchkeeper.daemon.storage.outbox import Delivery, Outbox
from watchkeeper.daemon.storage.store import Store


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
