"""What must be told is told: in order, again after a failure, and not more than is still true."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import msgspec
import pytest

from tests.daemon.storage.examples import T0, dead_letter, letter
from tests.services.base import wait_until
from watchkeeper.daemon.storage import snapshots
from watchkeeper.daemon.storage.outbox import OK, Delivery, Outbox
from watchkeeper.daemon.storage.retention import Most
from watchkeeper.daemon.storage.store import Store
from watchkeeper.daemon.storage.values import Channel, Checkpoint, OutboxRow

RETRY = Delivery("retry", "503")


@dataclass
class Receiver:
    """The other side: answers from `plan`, then OK."""

    plan: list[Delivery] = field(default_factory=list)
    got: list[OutboxRow] = field(default_factory=list)
    calls: int = 0

    def __call__(self, rows: Sequence[OutboxRow]) -> list[Delivery]:
        self.calls += 1
        answers = [self.plan.pop(0) if self.plan else OK for _ in rows]
        self.got += [r for r, a in zip(rows, answers, strict=True) if a.outcome == "ok"]
        return answers

    @property
    def ids(self) -> list[str]:
        return [row.id for row in self.got]


@dataclass
class Clock:
    now: float = T0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


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
    waits = []
    for _ in range(12):
        before = clock.now
        while not outbox.deliver_due("sentry"):
            clock.now += 0.5
        waits.append(clock.now - before)

    assert waits[:5] == [0, 1, 2, 4, 8]
    assert waits[-1] == outbox.cap_s


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


def on(topic: str, name: str, key: bytes | None = None, channel: Channel = "kafka") -> OutboxRow:
    row = letter(name, incident=None, channel=channel)
    return msgspec.structs.replace(row, topic=topic, key=key)


@dataclass
class Topics:
    """Takes messages of all topics but those that are `denied`."""

    denied: set[str]
    got: list[str] = field(default_factory=list)

    def __call__(self, rows: Sequence[OutboxRow]) -> list[Delivery]:
        self.got += [row.id for row in rows if row.topic not in self.denied]
        return [RETRY if row.topic in self.denied else OK for row in rows]


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


@dataclass
class Holding:
    """Takes everything and keeps the rows."""

    got: list[OutboxRow] = field(default_factory=list)

    def __call__(self, rows: Sequence[OutboxRow]) -> list[Delivery]:
        self.got += rows
        return [OK] * len(rows)


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
