"""An hour without Kafka, Sentry and webhooks: what waits is bounded, and nothing that still holds
is lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from tests.daemon.storage.examples import P0, T0, dead_letter
from watchkeeper.daemon.storage.outbox import OK, Delivery, Outbox
from watchkeeper.daemon.storage.retention import Most
from watchkeeper.daemon.storage.store import Store
from watchkeeper.daemon.storage.values import Channel, Checkpoint, OutboxRow

CHANNELS: tuple[Channel, ...] = ("kafka", "dlq", "sentry", "webhook")
INCIDENTS, STEPS, STEP_S = 12, 90, 40.0


@dataclass
class World:
    """The other side of every channel."""

    away: bool = True
    now: float = T0
    told: dict[str, OutboxRow] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)

    def __call__(self, rows: Sequence[OutboxRow]) -> list[Delivery]:
        if self.away:
            return [Delivery("retry", "no route to host")] * len(rows)
        for row in rows:
            self.told[row.id] = row
            self.order.append(row.id)
        return [OK] * len(rows)

    def clock(self) -> float:
        return self.now


def messages(step: int, at: float) -> list[OutboxRow]:
    """What one revision of one incident is worth, what became of an action, and an order."""
    incident, action = f"inc{step % INCIDENTS}", f"act{step}"
    about = OutboxRow("", "kafka", b"state", at, incident_id=incident)
    key = incident.encode()
    return [
        replace(about, id=f"{incident}:{step}:events", topic="events", key=key),
        replace(about, id=f"{incident}:{step}:models", topic="models", key=b"fraud"),
        replace(about, id=f"{action}:held", topic="actions", key=b"fraud"),
        replace(about, id=f"sentry:{incident}-{step}", channel="sentry"),
        replace(about, id=f"{incident}:{step}:hook", channel="webhook", topic="http://hook"),
        OutboxRow(f"{action}:order", "kafka", b"do", at, "actions", b"fraud", expires_at=at + 65.0),
    ]


def drain(outbox: Outbox, world: World) -> None:
    for _ in range(20):
        world.now += 1.0
        for channel in CHANNELS:
            while outbox.deliver_due(channel):
                pass


def test_an_hour_without_anybody_to_tell(store: Store) -> None:
    world = World()
    outbox = Outbox(
        store.letters,
        dict.fromkeys(CHANNELS, world),
        most=60,
        letters_most=Most(50, 1 << 20),
        dead_most=Most(100, 1 << 20),
        clock=world.clock,
    )
    epochs = store.restore([P0], T0).epochs
    most: dict[str, int] = dict.fromkeys(CHANNELS, 0)

    for step in range(STEPS):
        world.now = T0 + step * STEP_S
        dead = [dead_letter(4 * step + i) for i in range(4)]
        rows = messages(step, world.now)
        rows += [OutboxRow(f"dlq:{d.offset}", "dlq", d.value, world.now, "dlq.p") for d in dead]
        store.commit(Checkpoint(world.now, epochs, dead_letters=dead, outbox=rows))
        for channel in CHANNELS:
            outbox.deliver_due(channel)
            most[channel] = max(most[channel], store.letters.pending(channel))
    world.away = False
    world.now += outbox.cap_s
    drain(outbox, world)

    actions = STEPS  # what became of each is told, besides what still holds of the incidents
    assert most["kafka"] <= (actions + 60) * 5 // 4
    assert max(most["sentry"], most["webhook"]) <= 60
    assert most["dlq"] <= 50
    assert len(store.records.dead_letters(limit=1_000)) <= 101
    assert [store.letters.pending(each) for each in CHANNELS] == [0, 0, 0, 0]
    for step in range(STEPS - INCIDENTS, STEPS):
        incident = f"inc{step % INCIDENTS}"
        newest = {f"{incident}:{step}:{each}" for each in ("events", "models", "hook")}
        assert newest | {f"sentry:{incident}-{step}"} <= world.told.keys()
    for topic in ("events", "models", "http://hook", ""):
        told = [row for row in world.told.values() if row.topic == topic]
        assert len(told) + sum(row.collapsed for row in told) == STEPS
    assert {f"act{step}:held" for step in range(STEPS)} <= world.told.keys()
    models = [name for name in world.order if name.endswith(":models")]
    assert models == sorted(models, key=lambda name: int(name.split(":")[1]))
    assert outbox.counts()["kafka", "expired"] == STEPS
    assert not [name for name in world.order if name.endswith(":order")]
    assert {f"dlq:{4 * STEPS - i}" for i in range(1, 51)} <= world.told.keys()
    assert len(world.order) == len(world.told)
