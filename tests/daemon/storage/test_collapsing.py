"""Where too many messages wait, the newest state of each incident stands for all before it."""

from __future__ import annotations

import msgspec
import pytest

from tests.daemon.storage.examples import T0, letter
from tests.daemon.storage.receivers import Clock, Holding, Topics
from watchkeeper.daemon.storage.outbox import Outbox
from watchkeeper.daemon.storage.store import Store
from watchkeeper.daemon.storage.values import Channel, OutboxRow


def revisions(incident: str, n: int, channel: Channel = "kafka") -> list[OutboxRow]:
    """Messages of an incident's states, as they go to two topics or two addresses."""
    return [
        msgspec.structs.replace(
            letter(f"{incident}:{i}:{topic}", incident, channel),
            topic=topic,
            key=incident.encode() if channel == "kafka" else None,
        )
        for i in range(1, n + 1)
        for topic in ("one", "two")
    ]


@pytest.mark.parametrize("channel", ["kafka", "webhook"])
def test_of_too_many_messages_the_newest_state_of_each_incident_is_told_on_each_topic(
    store: Store, clock: Clock, channel: Channel
) -> None:
    away = Topics({"one", "two"})
    outbox = Outbox(store.letters, {channel: away}, most=20, clock=clock, chance=lambda: 1.0)
    store.letters.add([*revisions("a", 9, channel), *revisions("b", 1, channel)])
    outbox.deliver_due(channel)
    clock.now += 2_000.0
    outbox.deliver_due(channel)
    assert store.letters.pending(channel) == 20

    store.letters.add(revisions("c", 1, channel))
    back = Holding()
    outbox = Outbox(store.letters, {channel: back}, most=20, clock=clock)
    outbox.start()
    outbox.stop(10.0)

    told = {row.id: row.collapsed for row in back.got}
    assert told == {
        **{"a:9:one": 8, "a:9:two": 8},
        **{"b:1:one": 0, "b:1:two": 0, "c:1:one": 0, "c:1:two": 0},
    }
    assert outbox.counts()[channel, "collapsed"] == 16


def test_looking_through_what_waits_in_vain_takes_little_of_the_time(
    store: Store, clock: Clock
) -> None:
    """By this clock a look takes at least 25 ms, and so it is over a second to the next."""

    def slow() -> float:
        clock.now += 0.025
        return clock.now

    away = Topics({"one"})
    outbox = Outbox(store.letters, {"kafka": away}, base_s=300.0, clock=slow, chance=lambda: 1.0)
    store.letters.add([msgspec.structs.replace(letter("a", "a", "kafka"), topic="one")])
    outbox.deliver_due("kafka")
    outbox.deliver_due("kafka")
    store.letters.add([msgspec.structs.replace(letter("b", "b", "kafka"), topic="two")])

    outbox.deliver_due("kafka")
    assert away.got == []
    clock.now += 5.0
    outbox.deliver_due("kafka")

    assert away.got == ["b"]


def test_orders_and_what_became_of_actions_are_told_however_many_wait(
    store: Store, clock: Clock
) -> None:
    back = Holding()
    outbox = Outbox(store.letters, {"kafka": back}, most=3, clock=clock)
    about = {"topic": "actions", "key": b"fraud"}
    held = [letter(f"act-{i}:held:{T0}", "inc-1", "kafka") for i in range(4)]
    orders = [letter(f"act-{i}:{i}", None, "kafka") for i in range(4)]
    store.letters.add([msgspec.structs.replace(row, **about) for row in held])
    store.letters.add([msgspec.structs.replace(row, expires_at=T0 + 60, **about) for row in orders])

    while outbox.deliver_due("kafka"):
        pass

    assert {row.id for row in back.got} == {row.id for row in (*held, *orders)}
    assert ("kafka", "collapsed") not in outbox.counts()


def test_how_many_a_message_stands_for_is_remembered_over_a_restart_and_a_second_outage(
    store: Store, clock: Clock
) -> None:
    store.letters.add(revisions("a", 3, "webhook"))
    assert store.letters.collapse("webhook", T0) == 4
    store.letters.add([letter("a:4:one", "a", "webhook")])
    store.letters.add([msgspec.structs.replace(letter("a:5:one", "a", "webhook"), topic="one")])
    assert store.letters.collapse("webhook", T0) == 1

    taken = {row.id: row.collapsed for row in store.letters.take("webhook", T0, 1.0, 9)}

    assert taken == {"a:5:one": 3, "a:3:two": 2, "a:4:one": 0}
