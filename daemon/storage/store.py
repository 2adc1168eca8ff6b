"""The checkpoint: one transaction that makes a step of the core true, and its way back."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

import sqlalchemy as sa
from sqlalchemy import select, update
from sqlalchemy.engine import Connection

from watchkeeper.daemon.storage import keeping, registry, tables
from watchkeeper.daemon.storage.calibrations import Calibrations
from watchkeeper.daemon.storage.claims import Claims
from watchkeeper.daemon.storage.database import Database, insert_new, parts
from watchkeeper.daemon.storage.inbox import Inbox, take
from watchkeeper.daemon.storage.jobs import Jobs
from watchkeeper.daemon.storage.leases import Leases, next_token
from watchkeeper.daemon.storage.letters import Letters
from watchkeeper.daemon.storage.recording import read_record, write_record
from watchkeeper.daemon.storage.records import Records
from watchkeeper.daemon.storage.registry import Registry
from watchkeeper.daemon.storage.retention import Forgotten, forget_old
from watchkeeper.daemon.storage.states import (
    homes,
    own_states,
    read_states,
    set_aside,
    write_states,
)
from watchkeeper.daemon.storage.values import (
    CapturedFrame,
    Checkpoint,
    Fenced,
    Joins,
    Restored,
    SetAside,
)
from watchkeeper.daemon.transport.ports import Partition

_EPOCHS = "owner-epochs"
_PLACES = 250  # partitions that are asked for at a time: each is two values

# What every checkpoint says, made once: to make a statement costs more than to run it.
_o = tables.offsets.c
_OWNERS = (
    select(_o.topic, _o.partition, _o.owner_epoch)
    .where(sa.tuple_(_o.topic, _o.partition).in_(sa.bindparam("places", expanding=True)))
    .order_by(_o.topic, _o.partition)
    .with_for_update()
)
_MOVE = (
    update(tables.offsets)
    .where(_o.topic == sa.bindparam("of"), _o.partition == sa.bindparam("number"))
    .values(next_offset=sa.bindparam("next"), topic_id=sa.bindparam("id"))
)


class Store:
    """The database of one daemon, by seam: what the loop commits here, the rest in the parts.

    Thread-safe. The database must have the newest layout (`migrate.upgrade`). A commit calls
    `pause` every now and then, which may take a moment: there somebody else may go first.
    """

    def __init__(self, url: str, pause: Callable[[], object] = lambda: None) -> None:
        self._pause = pause
        self._db = Database(url)
        self.records = Records(self._db)
        self.registry = Registry(self._db)
        self.inbox = Inbox(self._db)
        self.letters = Letters(self._db)
        self.jobs = Jobs(self._db)
        self.leases = Leases(self._db)
        self.calibrations = Calibrations(self._db)

    def close(self) -> None:
        """Frees every connection. Idempotent."""
        self._db.close()

    def claims(self, holder: str, ttl_s: float = 30.0) -> Claims:
        """What an executor needs to act once; `holder` names this instance among all."""
        return Claims(self._db, holder, ttl_s)

    def commit(self, checkpoint: Checkpoint) -> None:
        """Makes all of it true, or nothing. Doing it twice changes nothing.

        Raises Fenced when another owner has taken one of the partitions.
        """
        pause = self._pause
        with self._db.write() as connection:
            pause()
            _check_owner(connection, checkpoint.epochs)
            pause()
            _write_offsets(connection, checkpoint)
            pause()
            write_states(connection, checkpoint, pause)
            write_record(connection, checkpoint, pause)
            pause()
            registry.record(connection, checkpoint.deployments)
            registry.blame(connection, checkpoint.faulty, checkpoint.at)
            take(connection, checkpoint.answers, checkpoint.at)

    def restore(self, partitions: Iterable[Partition], at: float) -> Restored:
        """Makes the caller the owner of the partitions and gives back what was true of them.

        Whoever owned them before is fenced off. A state that cannot be read is set aside, and so
        is a row of the record; what the state knows of that is written again.
        """
        wanted = sorted(set(partitions))
        with self._db.write() as connection:
            epoch = next_token(connection, _EPOCHS)
            owned = {each: _own(connection, each, epoch) for each in wanted}
            numbers = {each.number for each in wanted}
            states, lost, damaged = read_states(connection, numbers, at)
            own_states(connection, numbers, epoch)
            record = read_record(connection, states, lost, at)
            return Restored(
                epochs=dict.fromkeys(wanted, epoch),
                offsets={each: offset for each, (offset, _) in owned.items()},
                topics={each: topic for each, (_, topic) in owned.items() if topic is not None},
                states=states,
                homes=homes(connection, numbers),
                set_aside=damaged + record.set_aside,
                lost=lost,
                profiles=record.profiles,
                incidents=record.incidents,
                actions=record.actions,
            )

    def set_aside(self, aside: SetAside) -> None:
        """Puts a model's stored state away, for a core that could not take it up."""
        with self._db.write() as connection:
            set_aside(connection, aside)

    def captured(
        self, model: str, since: float = float("-inf"), until: float = float("inf")
    ) -> list[CapturedFrame]:
        """Kept frames that touch [since, until], in the order in which they were kept."""
        with self._db.read() as connection:
            return keeping.examples(connection, model, since, until)

    def joins(self, partitions: Iterable[int], at: float) -> Joins:
        """What label joins need of the models at home in these partitions, in order. What of it
        cannot be read is put away."""
        with self._db.read() as connection:
            found = keeping.joins(connection, partitions, at)
        if found.damaged is not None:
            with self._db.write() as connection:
                keeping.put_away(connection, found.damaged)
        return found

    def prune_captured(
        self,
        newest_n: int,
        keep_s: float,
        now: float,
        joins: Mapping[str, int] | None = None,
        numbers: Collection[int] | None = None,
    ) -> int:
        """Drops kept events that nobody needs any more; `keeping.prune` says which."""
        with self._db.write() as connection:
            return keeping.prune(connection, newest_n, keep_s, now, joins, numbers)

    def forget_old(self, now: float) -> Forgotten:
        """Drops old findings, told messages and answered commands; `retention` says how old."""
        with self._db.write() as connection:
            return forget_old(connection, now)


def _check_owner(connection: Connection, epochs: Mapping[Partition, int]) -> None:
    stored: dict[tuple[str, int], int] = {}
    places = [(each.topic, each.number) for each in sorted(epochs)]
    for some in parts(places, _PLACES):
        for topic, number, epoch in connection.execute(_OWNERS, {"places": list(some)}):
            stored[topic, number] = epoch
    for each, mine in sorted(epochs.items()):
        owner = stored.get((each.topic, each.number))
        if owner is None or owner > mine:
            raise Fenced(f"{each.topic}/{each.number}: epoch {mine}, but {owner} owns it")


def _write_offsets(connection: Connection, checkpoint: Checkpoint) -> None:
    moved = []
    for each, offset in checkpoint.offsets.items():
        if each not in checkpoint.epochs:
            raise Fenced(f"{each.topic}/{each.number}: not restored by this owner")
        here = {"of": each.topic, "number": each.number}
        moved.append({**here, "next": offset, "id": checkpoint.topics.get(each)})
    if moved:
        connection.execute(_MOVE, moved)


def _own(connection: Connection, partition: Partition, epoch: int) -> tuple[int | None, str | None]:
    """Takes a partition over; gives its next offset, and of which topic that is."""
    topic, number = partition
    new = {"topic": topic, "partition": number, "next_offset": None, "owner_epoch": epoch}
    insert_new(connection, tables.offsets, [new])
    t = tables.offsets.c
    here = (t.topic == topic) & (t.partition == number)
    connection.execute(update(tables.offsets).where(here).values(owner_epoch=epoch))
    offset, topic_id = connection.execute(select(t.next_offset, t.topic_id).where(here)).one()
    return offset, topic_id
