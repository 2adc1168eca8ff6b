"""Looking things up: what `status`, the console and the rules want to know of the record."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import RowMapping, func, select, update
from sqlalchemy.engine import Connection

from watchkeeper.daemon.core.state import SHARE
from watchkeeper.daemon.storage import rows, tables
from watchkeeper.daemon.storage.database import Database, parts
from watchkeeper.daemon.storage.unreadable import Unread, left_out, readable
from watchkeeper.daemon.storage.values import AuditEntry, DeadLetter, SetAside, Totals
from watchkeeper.daemon.transport.ports import Partition
from watchkeeper.detectors.profile import Profile
from watchkeeper.detectors.types import Finding
from watchkeeper.handlers.types import Action, ActionState, Incident, IncidentState

RECENT = 100  # actions of a model that are restored beside those of its open incidents

T = TypeVar("T")
_i = tables.incidents.c
_INCIDENT = (_i.id, _i.model, _i.body)


class Records:
    """Read-only but for two marks: a replayed dead letter and a line of the audit. A row that
    cannot be read is left out."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def incidents(
        self,
        state: IncidentState | None = None,
        model: str | None = None,
        open_only: bool = False,
        limit: int = 100,
    ) -> list[Incident]:
        """Incidents, newest first."""
        t = tables.incidents.c
        wanted = select(*_INCIDENT).order_by(t.opened_at.desc(), t.id).limit(limit)
        if state is not None:
            wanted = wanted.where(t.state == state.value)
        if model is not None:
            wanted = wanted.where(t.model == model)
        if open_only:
            wanted = wanted.where(t.open_key.is_not(None))
        with self._db.read() as connection:
            return _read(connection, wanted, rows.as_incident)

    def incident(self, incident_id: str) -> Incident | None:
        """One incident."""
        wanted = select(*_INCIDENT).where(tables.incidents.c.id == incident_id)
        with self._db.read() as connection:
            return next(iter(_read(connection, wanted, rows.as_incident)), None)

    def actions(
        self,
        state: ActionState | None = None,
        model: str | None = None,
        incident_id: str | None = None,
        limit: int = 100,
    ) -> list[Action]:
        """Actions, newest first."""
        t = tables.actions.c
        wanted = select(tables.actions).order_by(t.planned_at.desc(), t.id).limit(limit)
        for column, value in ((t.state, state), (t.model, model), (t.incident_id, incident_id)):
            if value is not None:
                wanted = wanted.where(column == str(value))
        with self._db.read() as connection:
            return _read(connection, wanted, rows.as_action)

    def action(self, action_id: str) -> Action | None:
        """One action."""
        wanted = select(tables.actions).where(tables.actions.c.id == action_id)
        with self._db.read() as connection:
            return next(iter(_read(connection, wanted, rows.as_action)), None)

    def findings(
        self, model: str | None = None, since: float = float("-inf"), limit: int = 1_000
    ) -> list[Finding]:
        """Findings that ended at `since` or later, oldest first; the newest `limit` of them."""
        t = tables.findings.c
        wanted = select(tables.findings).where(t.at >= since)
        if model is not None:
            wanted = wanted.where(t.model == model)
        wanted = wanted.order_by(t.at.desc(), t.id).limit(limit)
        with self._db.read() as connection:
            found = [rows.as_finding(row) for row in connection.execute(wanted).mappings()]
        return found[::-1]

    def dead_letters(self, limit: int = 100, waiting_only: bool = False) -> list[DeadLetter]:
        """Refused records, newest first."""
        t = tables.dead_letters.c
        wanted = select(tables.dead_letters).order_by(t.id.desc()).limit(limit)
        if waiting_only:
            wanted = wanted.where(t.replayed_at.is_(None))
        with self._db.read() as connection:
            return _read(connection, wanted, rows.as_dead_letter)

    def dead_letter(self, letter_id: int) -> DeadLetter | None:
        """One refused record."""
        wanted = select(tables.dead_letters).where(tables.dead_letters.c.id == letter_id)
        with self._db.read() as connection:
            return next(iter(_read(connection, wanted, rows.as_dead_letter)), None)

    def mark_replayed(self, letter_id: int, at: float) -> None:
        """Remembers that a refused record was sent once more."""
        here = update(tables.dead_letters).where(tables.dead_letters.c.id == letter_id)
        with self._db.write() as connection:
            connection.execute(here.values(replayed_at=at))

    def models(self) -> list[str]:
        """Every model that was seen or registered, by name."""
        seen = select(tables.states.c.model).union(select(tables.models.c.model))
        with self._db.read() as connection:
            return sorted(each for each in connection.execute(seen).scalars() if SHARE not in each)

    def watched(self, models: Collection[str]) -> set[str]:
        """Those of the models that some instance has a state of."""
        t = tables.states.c
        found: set[str] = set()
        with self._db.read() as connection:
            for some in parts(sorted(models)):
                found.update(connection.execute(select(t.model).where(t.model.in_(some))).scalars())
        return found

    def offsets(self) -> dict[Partition, int | None]:
        """The next offset of every partition that was ever owned."""
        t = tables.offsets.c
        wanted = select(t.topic, t.partition, t.next_offset)
        with self._db.read() as connection:
            return {Partition(p, n): offset for p, n, offset in connection.execute(wanted)}

    def set_aside(self) -> list[SetAside]:
        """States that were put away, oldest first."""
        t = tables.states_set_aside.c
        # The two parts of a state are put away at one moment.
        wanted = select(t.model, t.reason, t.at).group_by(t.model, t.reason, t.at)
        wanted = wanted.order_by(func.min(t.id))
        with self._db.read() as connection:
            return [SetAside(*each) for each in connection.execute(wanted)]

    def actions_held(self) -> int:
        """How many actions wait for a person."""
        with self._db.read() as connection:
            return _count(connection, tables.actions, tables.actions.c.state == "held")

    def totals(self) -> Totals:
        """How full the database is."""
        i, a, o, b = tables.incidents.c, tables.actions.c, tables.outbox.c, tables.inbox.c
        pending = o.state == "pending"
        with self._db.read() as connection:
            oldest = connection.execute(select(func.min(o.created_at)).where(pending)).scalar()
            return Totals(
                models=_count(connection, tables.states, ~tables.states.c.model.contains(SHARE)),
                incidents_open=_count(connection, tables.incidents, i.open_key.is_not(None)),
                actions_held=_count(connection, tables.actions, a.state == "held"),
                outbox_pending=_count(connection, tables.outbox, pending),
                outbox_blocked=_count(connection, tables.outbox, o.state == "blocked"),
                outbox_oldest_at=oldest,
                dead_letters=_count(connection, tables.dead_letters),
                commands_waiting=_count(connection, tables.inbox, b.taken_at.is_(None)),
                states_set_aside=_states_set_aside(connection),
            )

    def note(self, entry: AuditEntry) -> None:
        """Adds a line to the audit."""
        with self._db.write() as connection:
            connection.execute(sa.insert(tables.audit), [rows.plain(entry)])

    def audit(self, limit: int = 100) -> list[AuditEntry]:
        """The audit, newest line first."""
        t = tables.audit.c
        wanted = select(t.at, t.actor, t.verb, t.target, t.detail).order_by(t.id.desc())
        with self._db.read() as connection:
            return [AuditEntry(*row) for row in connection.execute(wanted.limit(limit))]


def _count(connection: Connection, table: sa.Table, *where: sa.ColumnElement[bool]) -> int:
    return connection.execute(select(func.count()).select_from(table).where(*where)).scalar_one()


def _read(
    connection: Connection,
    wanted: sa.Select[Any],
    value: Callable[[RowMapping], T],
    unread: Unread = left_out,
) -> list[T]:
    """The values of the rows that are wanted; what cannot be read is left out."""
    return readable(connection.execute(wanted).mappings(), value, unread)


def open_incidents(
    connection: Connection, models: Sequence[str], unread: Unread = left_out
) -> list[Incident]:
    """The open incidents of the models, oldest first."""
    t = tables.incidents.c
    found: list[Incident] = []
    for some in parts(models):
        wanted = select(*_INCIDENT).where(t.open_key.in_(some))
        found += _read(connection, wanted, rows.as_incident, unread)
    return sorted(found, key=lambda each: each.opened_at)


def last_actions(
    connection: Connection,
    models: Sequence[str],
    incident_ids: Sequence[str],
    unread: Unread = left_out,
) -> list[Action]:
    """All actions of the incidents and the newest others of each model, oldest first."""
    t = tables.actions.c
    age = func.row_number().over(partition_by=t.model, order_by=t.planned_at.desc())
    chosen = [t.incident_id.in_(some) for some in parts(incident_ids)]
    for some in parts(models):
        ranked = select(t.id, age.label("age")).where(t.model.in_(some)).subquery()
        chosen.append(t.id.in_(select(ranked.c.id).where(ranked.c.age <= RECENT)))
    found: dict[str, RowMapping] = {}
    for here in chosen:
        for row in connection.execute(select(tables.actions).where(here)).mappings():
            found[row["id"]] = row
    actions = readable(found.values(), rows.as_action, unread)
    return sorted(actions, key=lambda each: (each.planned_at, each.id))


def read_profiles(
    connection: Connection, models: Sequence[str], unread: Unread = left_out
) -> list[Profile]:
    """The references of the models, each one's oldest first."""
    return readable(profile_rows(connection, models), rows.as_profile, unread)


def profile_rows(
    connection: Connection, models: Sequence[str], source: str | None = None
) -> list[RowMapping]:
    """The same as they are stored; those of one source, or all."""
    t = tables.profiles.c
    oldest_first = select(t.model, t.version, t.blob).order_by(t.at, t.model, t.version)
    if source is not None:
        oldest_first = oldest_first.where(t.source == source)
    found: list[RowMapping] = []
    for some in parts(models):
        found += connection.execute(oldest_first.where(t.model.in_(some))).mappings()
    return found


def _states_set_aside(connection: Connection) -> int:
    """How many states were put away; each may be in two parts."""
    t = tables.states_set_aside.c
    each = select(t.model, t.at).distinct().subquery()
    return connection.execute(select(func.count()).select_from(each)).scalar_one()
