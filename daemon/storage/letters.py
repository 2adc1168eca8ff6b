"""The rows of the outbox: what must be told, in which order, and what became of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import sqlalchemy as sa
from sqlalchemy import RowMapping, func, select, update

from watchkeeper.daemon.storage import rows, tables
from watchkeeper.daemon.storage.database import Database, insert_new
from watchkeeper.daemon.storage.retention import (
    Dropped,
    Most,
    Since,
    dead_letters_since,
    drop_dead_letters,
    drop_sent,
    first_beyond,
)
from watchkeeper.daemon.storage.snapshots import SnapshotError
from watchkeeper.daemon.storage.values import Channel, OutboxRow

_o = tables.outbox.c

_FIELDS = (
    *(_o.id, _o.channel, _o.payload, _o.created_at, _o.topic, _o.key, _o.headers),
    *(_o.incident_id, _o.expires_at, _o.seq, _o.attempts, _o.collapsed),
)

# The ids of messages of an incident's own state begin with the incident's, and so does no other
# message of a key; messages without a key tell of nothing else.
_PREFIX = func.substr(_o.id, 1, func.length(_o.incident_id) + 1)
_ABOUT_AN_INCIDENT = (
    _o.incident_id.is_not(None)
    & _o.expires_at.is_(None)
    & (_o.key.is_(None) | (_o.incident_id + ":" == _PREFIX))
)

# What every sender asks every second, made once: to make a statement costs more than to run it.
_WAITING = (
    select(_o.seq)
    .where(_o.channel == sa.bindparam("channel"), _o.state == sa.literal_column("'pending'"))
    .limit(1)
)


class Letters:
    """Rows are added by the checkpoint, taken by a sender, and end as sent or blocked."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def add(self, letters: Sequence[OutboxRow]) -> None:
        """Adds messages outside a checkpoint, for instance a test page; known ids stay."""
        with self._db.write() as connection:
            insert_new(connection, tables.outbox, [rows.outbox(each) for each in letters])

    def waits(self, channel: Channel) -> bool:
        """True when any message waits."""
        with self._db.read() as connection:
            return connection.execute(_WAITING, {"channel": channel}).first() is not None

    def take(
        self,
        channel: Channel,
        now: float,
        hold: float,
        limit: int,
        without: Collection[str] = (),
    ) -> list[OutboxRow]:
        """The next messages that are due, hidden from other takers for `hold` seconds, none of
        the topics `without`.

        At most one of each lane: the next one waits until this one has ended. Those that are
        `damaged` are not to be told.
        """
        due = (_o.channel == channel) & (_o.state == "pending") & (_o.next_try <= now)
        first = _first(channel, now, without).limit(limit)
        # Looking first, in a transaction that only reads, keeps an idle sender from writing.
        with self._db.read() as connection:
            found = list(connection.execute(first).scalars())
        if not found:
            return []
        taken = update(tables.outbox).where(_o.seq.in_(found), due).values(next_try=now + hold)
        with self._db.write() as connection:
            result = connection.execute(taken.returning(*_FIELDS)).mappings().all()
        return sorted((_letter(row) for row in result), key=lambda each: each.seq)

    def late(self, channel: Channel, before: float) -> bool:
        """True when a message waits that failed, or that was made before that time."""
        tried = (_o.attempts > 0) | (_o.created_at < before)
        wanted = select(_o.seq).where(_o.channel == channel, _o.state == "pending", tried)
        with self._db.read() as connection:
            return connection.execute(wanted.limit(1)).first() is not None

    def release(self, now: float) -> None:
        """Makes everything that waits due at once, as a sender does when it starts: what it had
        in hand when it crashed need not lie hidden. Ids keep a second telling harmless."""
        hidden = update(tables.outbox).where(_o.state == "pending", _o.next_try > now)
        with self._db.write() as connection:
            connection.execute(hidden.values(next_try=now))

    def collapse(self, channel: Channel, now: float) -> int:
        """Ends all but the newest waiting message that tells of an incident's own state, on each
        topic, as what the older ones say is outdated; returns how many.

        The one that stays says how many it stands for. Orders and what became of actions are not
        of this kind: each of them is told.
        """
        waiting = (_o.channel == channel) & (_o.state == "pending") & _ABOUT_AN_INCIDENT
        lane = (_o.topic, _o.incident_id)
        place = func.row_number().over(partition_by=lane, order_by=_o.seq.desc()).label("place")
        older = func.sum(_o.collapsed + 1).over(partition_by=lane) - 1
        ranked = select(_o.seq, place, older.label("older")).where(waiting).subquery().c
        newest = select(ranked.seq, ranked.older).where(ranked.place == 1, ranked.older > 0)
        outdated = select(ranked.seq).where(ranked.place > 1)
        stands = update(tables.outbox).where(_o.seq == sa.bindparam("one"))
        ended = {"state": "sent", "ended_at": now, "last_reason": "collapsed: outdated"}
        ended |= {"payload": None}  # outages are when space runs out
        with self._db.write() as connection:
            kept = [{"one": seq, "older": n} for seq, n in connection.execute(newest)]
            if not kept:
                return 0
            n = connection.execute(
                update(tables.outbox).where(_o.seq.in_(outdated)).values(**ended)
            ).rowcount
            connection.execute(stands.values(collapsed=sa.bindparam("older")), kept)
            return n

    def crowded(self, channel: Channel, most: int) -> bool:
        """True when more than `most` messages wait."""
        waiting = (_o.channel == channel) & (_o.state == "pending")
        one = select(_o.seq).where(waiting).order_by(_o.seq).offset(most).limit(1)
        with self._db.read() as connection:
            return connection.execute(one).first() is not None

    def sent(self, letter_ids: Sequence[str], at: float) -> None:
        """They were told. Of dead letters nothing is kept: their own table holds them."""
        if not letter_ids:
            return
        told = _o.id.in_(letter_ids) & (_o.state == "pending")
        values = {"state": "sent", "ended_at": at, "last_reason": ""}
        with self._db.write() as connection:
            connection.execute(sa.delete(tables.outbox).where(told, _o.channel == "dlq"))
            connection.execute(update(tables.outbox).where(told).values(**values))

    def newest(self, channel: Channel) -> int:
        """The number of the newest message that waits; 0 when none does."""
        waiting = select(func.max(_o.seq)).where(_o.state == "pending", _o.channel == channel)
        with self._db.read() as connection:
            return connection.execute(waiting).scalar() or 0

    def skip(self, most: Most) -> int:
        """Drops all waiting dead letters but the newest ones, `most` of them; returns how many."""
        waiting = (_o.channel == "dlq") & (_o.state == "pending")
        # Looking first, in a transaction that only reads, keeps an idle sender from writing.
        with self._db.read() as connection:
            seq = first_beyond(connection, _o.seq, func.length(_o.payload), waiting, most)
        if seq is None:
            return 0
        with self._db.write() as connection:
            outdated = sa.delete(tables.outbox).where(waiting, _o.seq <= seq)
            return connection.execute(outdated).rowcount

    def blocked(self, letter_id: str, at: float, reason: str) -> None:
        """It was refused for good; kept for a person to look at."""
        self._end(letter_id, "blocked", at, reason)

    def expire(self, channel: Channel, now: float) -> list[str]:
        """Ends, untold, what must not be told any more; returns its ids."""
        late = (_o.channel == channel) & (_o.state == "pending") & (_o.expires_at <= now)
        # Looking first, in a transaction that only reads, keeps an idle sender from writing.
        with self._db.read() as connection:
            if connection.execute(select(_o.seq).where(late).limit(1)).first() is None:
                return []
        values = {"state": "sent", "ended_at": now, "last_reason": "expired: not told in time"}
        with self._db.write() as connection:
            ended = update(tables.outbox).where(late).values(**values).returning(_o.id)
            return list(connection.execute(ended).scalars())

    def retry(self, failed: Sequence[tuple[str, float, str]]) -> None:
        """They could not be told now: of each the id, when it is tried again, and the reason."""
        here = update(tables.outbox).where(_o.id == sa.bindparam("letter"), _o.state == "pending")
        values = {
            "attempts": _o.attempts + 1,
            "next_try": sa.bindparam("again"),
            "last_reason": sa.bindparam("reason"),
        }
        each = [{"letter": name, "again": at, "reason": why} for name, at, why in failed]
        with self._db.write() as connection:
            connection.execute(here.values(**values), each)

    def oldest(self, channel: Channel) -> float | None:
        """When the oldest waiting message was made; None when none waits."""
        wanted = select(func.min(_o.created_at))
        with self._db.read() as connection:
            oldest: float | None = connection.execute(
                wanted.where(_o.channel == channel, _o.state == "pending")
            ).scalar()
            return oldest

    def pending(self, channel: Channel) -> int:
        """How many messages wait."""
        return self._count(channel, "pending")

    def refused(self, channel: Channel) -> int:
        """How many messages were refused for good."""
        return self._count(channel, "blocked")

    def refused_since(self, number: int) -> Since:
        """The refused records that were kept after the one of that number."""
        with self._db.read() as connection:
            return dead_letters_since(connection, number)

    def bound_refused_records(self, most: Most) -> Dropped:
        """Drops refused records beyond `most`."""
        with self._db.write() as connection:
            return drop_dead_letters(connection, most)

    def prune(self, before: float) -> int:
        """Forgets messages that were told before that time; returns how many."""
        with self._db.write() as connection:
            return drop_sent(connection, before)

    def _end(self, letter_id: str, state: str, at: float, reason: str) -> None:
        here = update(tables.outbox).where(_o.id == letter_id, _o.state == "pending")
        with self._db.write() as connection:
            connection.execute(here.values(state=state, ended_at=at, last_reason=reason))

    def _count(self, channel: Channel, state: str) -> int:
        wanted = select(func.count()).where(_o.channel == channel, _o.state == state)
        with self._db.read() as connection:
            return connection.execute(wanted).scalar_one()


def _first(channel: Channel, now: float, without: Collection[str]) -> sa.Select[int]:
    """The oldest waiting message of each lane, where it is due and of another topic.

    A lane is a key's messages on a topic, or an incident's where they have no key; those that
    expire have lanes of their own. Dead letters have none: each stands for itself.
    """
    waiting = (_o.channel == channel) & (_o.state == "pending")
    if channel == "dlq":
        due = waiting & (_o.next_try <= now) & _o.topic.not_in(without)
        return select(_o.seq).where(due).order_by(_o.seq)
    alone = sa.case((_o.key.is_(None) & _o.incident_id.is_(None), _o.seq))
    incident = sa.case((_o.key.is_(None), _o.incident_id))
    lane = (_o.topic, _o.key, incident, alone, _o.expires_at.is_(None))
    place = func.row_number().over(partition_by=lane, order_by=_o.seq).label("place")
    each = select(_o.seq, _o.topic, _o.next_try, place).where(waiting).subquery().c
    ready = (each.place == 1) & (each.next_try <= now) & each.topic.not_in(without)
    return select(each.seq).where(ready).order_by(each.seq)


def _letter(row: RowMapping) -> OutboxRow:
    try:
        return OutboxRow(**{**row, "headers": rows.headers(row["headers"])})
    except SnapshotError as error:
        return OutboxRow(**{**row, "headers": (), "damaged": f"its headers: {error}"})
