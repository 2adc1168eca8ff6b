"""The thread that tells: it starts, wakes, stops, and outlives a bug."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from tests.daemon.storage.examples import T0, letter
from tests.daemon.storage.receivers import Clock, Receiver, running
from tests.services.base import wait_until
from watchkeeper.daemon.storage.outbox import OK, Delivery, Outbox
from watchkeeper.daemon.storage.store import Store
from watchkeeper.daemon.storage.values import OutboxRow


def test_a_sender_that_starts_tells_at_once_what_a_crashed_one_had_in_hand(
    store: Store, receiver: Receiver, clock: Clock
) -> None:
    store.letters.add([letter("a")])
    store.letters.take("sentry", T0, hold=120.0, limit=10)  # and then it crashed

    outbox = Outbox(store.letters, {"sentry": receiver}, clock=clock)
    outbox.start()

    wait_until(lambda: receiver.ids == ["a"], 10, "the message")
    assert outbox.stop(10)


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
