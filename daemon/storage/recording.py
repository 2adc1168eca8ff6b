"""The record at a checkpoint, written, and read back by the next owner of its models."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy import select
from sqlalchemy.engine import Connection

from watchkeeper.daemon.core.stored import on_record
from watchkeeper.daemon.storage import keeping, rows, tables
from watchkeeper.daemon.storage.database import insert_new, parts, put
from watchkeeper.daemon.storage.records import last_actions, open_incidents, read_profiles
from watchkeeper.daemon.storage.unreadable import Unreadable, put_away, readable, unread_of
from watchkeeper.daemon.storage.values import Checkpoint, SetAside, State
from watchkeeper.detectors.profile import Profile
from watchkeeper.handlers.types import Action, ActionState, Incident, IncidentState, Note

_GIVEN = "imported"  # the source of references that people gave


class ReadBack(NamedTuple):
    """What is open of the record, the references, and what was put away of both just now."""

    incidents: list[Incident]
    actions: list[Action]
    profiles: list[Profile]
    set_aside: list[SetAside]


def write_record(
    connection: Connection, checkpoint: Checkpoint, pause: Callable[[], object]
) -> None:
    """Writes what the step adds to the record or changes in it, and what is told of it."""
    pause()
    insert_new(connection, tables.findings, [rows.finding(each) for each in checkpoint.findings])
    pause()
    _write_incidents(connection, checkpoint.incidents)
    _write_actions(connection, checkpoint.actions)
    _write_profiles(connection, checkpoint)
    keeping.keep(connection, checkpoint.kept, pause)
    letters = [rows.dead_letter(each) for each in checkpoint.dead_letters]
    insert_new(connection, tables.dead_letters, letters)
    insert_new(connection, tables.outbox, [rows.outbox(each) for each in checkpoint.outbox])
    _write_audit(connection, checkpoint)


def read_record(
    connection: Connection, states: Mapping[str, State], lost: Sequence[str], at: float
) -> ReadBack:
    """The record of models as their next owner needs it, with a state or without. What cannot be
    read is put away, and written again where a state knows of it."""
    models = [*states, *lost]
    unread: list[Unreadable] = []
    incidents = open_incidents(connection, models, unread_of(tables.incidents, unread))
    known = [each.id for each in incidents]
    actions = last_actions(connection, models, known, unread_of(tables.actions, unread))
    profiles = read_profiles(connection, models, unread_of(tables.profiles, unread))
    damaged = put_away(connection, unread, at)
    _write_again(connection, unread, states)
    return ReadBack(incidents, actions, profiles, damaged)


def _write_again(
    connection: Connection, lost: Sequence[Unreadable], states: Mapping[str, State]
) -> None:
    """Writes what was put away of the record as the states of the models know it."""
    for model in {each.row["model"] for each in lost} & states.keys():
        names = {each.name for each in lost if each.row["model"] == model}
        incident, actions = on_record(states[model])
        if incident is not None and incident.id in names:
            _write_incidents(connection, [incident])
        _write_actions(connection, [each for each in actions if each.id in names])


def _write_incidents(connection: Connection, incidents: Sequence[Incident]) -> None:
    # Closed ones first: they free the key that a new one of the same model needs.
    for each in sorted(incidents, key=lambda each: each.open):
        if each.open:
            _supersede(connection, each)
        put(connection, tables.incidents, [rows.incident(each)])


def _supersede(connection: Connection, incident: Incident) -> None:
    """Closes another incident of the model that the core, having lost its state, forgot."""
    t = tables.incidents.c
    others = select(t.id, t.model, t.body).where(t.open_key == incident.model, t.id != incident.id)
    found = connection.execute(others).mappings().all()
    damaged: list[Unreadable] = []
    for old in readable(found, rows.as_incident, unread_of(tables.incidents, damaged)):
        note = Note(incident.opened_at, f"superseded by {incident.id}: its state was lost")
        closed = msgspec.structs.replace(
            old,
            state=IncidentState.RESOLVED,
            resolved_at=incident.opened_at,
            revision=old.revision + 1,
            timeline=(*old.timeline, note),
        )
        put(connection, tables.incidents, [rows.incident(closed)])
    put_away(connection, damaged, incident.opened_at)


def _write_actions(connection: Connection, actions: Sequence[Action]) -> None:
    a, r = tables.actions.c, tables.action_runs.c
    for each in actions:
        row = dict(rows.action(each))
        connection.execute(select(a.id).where(a.id == each.id).with_for_update())
        begun = select(r.action_id).where(r.action_id == each.id, r.step == "run")
        # The core hears of a start only by its outcome; what has been started stays started.
        if each.state is ActionState.PERMITTED and connection.execute(begun).first():
            row["state"] = ActionState.STARTED.value
        put(connection, tables.actions, [row])


def _write_profiles(connection: Connection, checkpoint: Checkpoint) -> None:
    """Keeps what was learned, but never in place of what a person gave meanwhile."""
    t = tables.profiles.c
    given: set[tuple[str, str]] = set()
    for some in parts(sorted({each.model for each in checkpoint.profiles})):
        imported = select(t.model, t.version).where(t.model.in_(some), t.source == _GIVEN)
        given.update((model, version) for model, version in connection.execute(imported))
    new = [p for p in checkpoint.profiles if _given(p) or (p.model, p.version) not in given]
    put(connection, tables.profiles, [rows.profile(each, checkpoint.at) for each in new])


def _given(profile: Profile) -> bool:
    return profile.source == _GIVEN


def _write_audit(connection: Connection, checkpoint: Checkpoint) -> None:
    """Adds the lines that are not there yet: lines have no key of their own."""
    t = tables.audit.c
    wanted = select(t.at, t.actor, t.verb, t.target, t.detail)
    times = {each.at for each in checkpoint.audit}
    if not times:
        return
    there = {tuple(row) for row in connection.execute(wanted.where(t.at.in_(times)))}
    new = [e for e in checkpoint.audit if msgspec.structs.astuple(e) not in there]
    if new:
        connection.execute(sa.insert(tables.audit), [rows.plain(each) for each in new])
