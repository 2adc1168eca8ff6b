"""The database comes and goes: what was told is recorded, and told once."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Event
from typing import Any, NoReturn

import pytest

from tests.daemon.storage.examples import letter
from tests.daemon.storage.receivers import RETRY, Clock, Receiver, running
from tests.services.base import wait_until
from watchkeeper.daemon.storage.database import DatabaseDown
from watchkeeper.daemon.storage.outbox import OK, Delivery, Outbox
from watchkeeper.daemon.storage.store import Store


def gone(*_: object) -> NoReturn:
    raise DatabaseDown("disk I/O error")


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
