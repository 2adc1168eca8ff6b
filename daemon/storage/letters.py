"""The rows of the outbox: what must be told, in which order, and what became of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import sqlalchemy as sa
from sqlalchemy import RowMapping, func, select, update

from watchkeeper.daemon.storage import rows, tables
from watchkeeper.daemon.storage.database import Database, insert_new
from watchkeeper.daemon.storage.retention import drop_sent
from watchkeeper.daemon.storage.values import Channel, OutboxRow

_o = tables.outbox.c

_FIELDS = (
    *(_o.id, _o.channel, _o.payload, _o.created_at, _o.topic, _o.key, _o.headers),
    *(_o.incident_id, _o.expires_at, _o.seq, _o.attempts),
)


class Letters:
    """Rows are added by the checkpoint, taken by a sender, and end as sent or blocked."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def add(self, letters: Sequence[OutboxRow]) -> None:
        """Adds messages outside a checkpoint, for instance a test page; known ids stay."""
        with self._db.write() as connection:
            insert_new(connection, tables.outbox, [rows.outbox(each) for each in letters])

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

        At most one of each lane: the next one waits until this one has ended.
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

    def collapse(self, channel: Channel, now: float) -> dict[str, int]:
        """Ends all but the newest waiting message of each incident, as what they say is outdated.

        Returns by the id of the one that stays how many older ones it stands for.
        """
        pending = (_o.channel == channel) & (_o.state == "pending") & _o.incident_id.is_not(None)
        newest = func.max(_o.seq).label("newest")
        many = (
            select(_o.incident_id, newest, (func.count() - 1).label("older"))
            .where(pending)
            .group_by(_o.incident_id)
            .having(func.count() > 1)
        )
        kept: dict[str, int] = {}
        with self._db.write() as connection:
            for incident, seq, older in connection.execute(many).all():
                outdated = pending & (_o.incident_id == incident) & (_o.seq < seq)
                values = {"state": "sent", "ended_at": now, "last_reason": "collapsed: outdated"}
                connection.execute(update(tables.outbox).where(outdated).values(**values))
                stays = select(_o.id).where(_o.seq == seq)
                kept[connection.execute(stays).scalar_one()] = older
        return kept

    def sent(self, letter_ids: Sequence[str], at: float) -> None:
        """They were told."""
        if not letter_ids:
            return
        told = update(tables.outbox).where(_o.id.in_(letter_ids), _o.state == "pending")
        with self._db.write() as connection:
            connection.execute(told.values(state="sent", ended_at=at, last_reason=""))

    def skip(self, channel: Channel, newest: int, at: float, reason: str) -> int:
        """Ends, untold, all waiting messages but the `newest` ones; returns how many."""
        waiting = (_o.channel == channel) & (_o.state == "pending")
        last = select(_o.seq).where(waiting).order_by(_o.seq.desc()).offset(newest).limit(1)
        # Looking first, in a transaction that only reads, keeps an idle sender from writing.
        with self._db.read() as connection:
            seq = connection.execute(last).scalar()
        if seq is None:
            return 0
        outdated = update(tables.outbox).where(waiting, _o.seq <= seq)
        values = {"state": "sent", "ended_at": at, "last_reason": reason}
        with self._db.write() as connection:
            return connection.execute(outdated.values(**values)).rowcount

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
    return OutboxRow(**{**row, "headers": rows.headers(row["headers"])})
