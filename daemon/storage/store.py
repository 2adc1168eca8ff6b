"""The checkpoint: one transaction that makes a step of the core true, and its way back."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import msgspec
import sqlalchemy as sa
from sqlalchemy import select, update
from sqlalchemy.engine import Connection

from watchkeeper.daemon.core.stored import on_record
from watchkeeper.daemon.storage import keeping, registry, rows, snapshots, tables
from watchkeeper.daemon.storage.calibrations import Calibrations
from watchkeeper.daemon.storage.claims import Claims
from watchkeeper.daemon.storage.database import Database, insert_new, parts, put
from watchkeeper.daemon.storage.inbox import Inbox, take
from watchkeeper.daemon.storage.jobs import Jobs
from watchkeeper.daemon.storage.leases import Leases, next_token
from watchkeeper.daemon.storage.letters import Letters
from watchkeeper.daemon.storage.records import Records, last_actions, open_incidents, read_profiles
from watchkeeper.daemon.storage.registry import Registry
from watchkeeper.daemon.storage.retention import Forgotten, forget_old
from watchkeeper.daemon.storage.snapshots import SnapshotError
from watchkeeper.daemon.storage.unreadable import Unreadable, put_away, readable, unread_of
from watchkeeper.daemon.storage.values import (
    CapturedFrame,
    Checkpoint,
    Fenced,
    Joins,
    Restored,
    SetAside,
    State,
)
from watchkeeper.daemon.transport.ports import Partition
from watchkeeper.detectors.profile import Profile
from watchkeeper.handlers.types import Action, ActionState, Incident, IncidentState, Note

_EPOCHS = "owner-epochs"
_GIVEN = "imported"  # the source of references that people gave
_SELDOM = (tables.states_lasting, tables.states_references)  # parts of states beside the first
_LISTS = 2  # of names that are asked for at a time
_PLACES = 250  # partitions that are asked for at a time: each is two values

# What every checkpoint says, made once: to make a statement costs more than to run it.
_o, _s = tables.offsets.c, tables.states.c
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
_NEWER = select(_s.model, _s.owner_epoch).where(_s.owner_epoch > sa.bindparam("epoch"))
_NEWER_OF = _NEWER.where(_s.model.in_(sa.bindparam("models", expanding=True)))


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
            _write_states(connection, checkpoint, pause)
            _write_record(connection, checkpoint, pause)
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
            states, lost, damaged = _read_states(connection, numbers, at)
            models = [*states, *lost]
            _own_states(connection, numbers, epoch)
            unread: list[Unreadable] = []
            opened = open_incidents(connection, models, unread_of(tables.incidents, unread))
            known = [each.id for each in opened]
            actions = last_actions(connection, models, known, unread_of(tables.actions, unread))
            profiles = read_profiles(connection, models, unread_of(tables.profiles, unread))
            damaged += put_away(connection, unread, at)
            _write_again(connection, unread, states)
            return Restored(
                epochs=dict.fromkeys(wanted, epoch),
                offsets={each: offset for each, (offset, _) in owned.items()},
                topics={each: topic for each, (_, topic) in owned.items() if topic is not None},
                states=states,
                homes=_homes(connection, numbers),
                set_aside=damaged,
                lost=lost,
                profiles=profiles,
                incidents=opened,
                actions=actions,
            )

    def set_aside(self, aside: SetAside) -> None:
        """Puts a model's stored state away, for a core that could not take it up."""
        with self._db.write() as connection:
            _set_aside(connection, aside)

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


def _write_states(
    connection: Connection, checkpoint: Checkpoint, pause: Callable[[], object]
) -> None:
    epochs: dict[int, int] = {}
    for partition, epoch in checkpoint.epochs.items():
        epochs[partition.number] = max(epoch, epochs.get(partition.number, 0))
    wanted = sorted(checkpoint.states)
    owners = _newer_owners(connection, wanted, min(epochs.values(), default=0))
    new = []
    for model in wanted:
        number, state = checkpoint.states[model]
        if number not in epochs:
            raise Fenced(f"state of {model}: partition {number} is not owned")
        if owners.get(model, 0) > epochs[number]:
            raise Fenced(f"state of {model}: epoch {epochs[number]}, but {owners[model]} owns it")
        row = {
            "model": model,
            "partition": number,
            "owner_epoch": epochs[number],
            "blob": snapshots.encode(state),
            "updated_at": checkpoint.at,
        }
        new.append(row)
        pause()
    put(connection, tables.states, new)
    for table, part in zip(_SELDOM, (checkpoint.lasting, checkpoint.references), strict=True):
        given = [model for model in wanted if model in part]
        encoded = [{"model": m, "blob": snapshots.encode(part[m])} for m in given]
        pause()
        put(connection, table, encoded)


def _newer_owners(connection: Connection, models: Sequence[str], epoch: int) -> dict[str, int]:
    """The owner epochs of these models' states that are newer than this one; maybe of others too.

    Hardly any is: where there are many models, a look at all states costs less than a list of
    names."""
    lists = [{"epoch": epoch, "models": list(some)} for some in parts(models)]
    found: dict[str, int] = {}
    if len(lists) > _LISTS:
        asked = [connection.execute(_NEWER, {"epoch": epoch})]
    else:
        asked = [connection.execute(_NEWER_OF, each) for each in lists]
    for rows_ in asked:
        found |= {model: number for model, number in rows_}
    return found


def _write_record(
    connection: Connection, checkpoint: Checkpoint, pause: Callable[[], object]
) -> None:
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


def _own_states(connection: Connection, numbers: set[int], epoch: int) -> None:
    here = tables.states.c.partition.in_(numbers)
    connection.execute(update(tables.states).where(here).values(owner_epoch=epoch))


def _homes(connection: Connection, numbers: set[int]) -> dict[str, int]:
    t = tables.states.c
    wanted = select(t.model, t.partition).where(t.partition.in_(numbers))
    return {model: number for model, number in connection.execute(wanted)}


def _read_states(
    connection: Connection, numbers: set[int], at: float
) -> tuple[dict[str, State], list[str], list[SetAside]]:
    """The states, the models without one, and why they have none if it was found out just now."""
    t = tables.states.c
    states: dict[str, State] = {}
    lost, damaged = [], []
    here = t.partition.in_(numbers)
    others = [_read_part(connection, table, here) for table in _SELDOM]
    wanted = select(t.model, t.blob).where(here).order_by(t.model)
    for model, blob in connection.execute(wanted).all():
        try:
            state = _decoded(blob)
            for part in others:
                if state and model in part:
                    state |= _decoded(part[model])
        except SnapshotError as error:
            damaged.append(SetAside(model, str(error), at))
            _set_aside(connection, damaged[-1])
            state = {}
        if state:
            states[model] = state
        else:
            lost.append(model)
    return states, lost, damaged


def _decoded(blob: bytes) -> State:
    state = snapshots.decode(blob)
    if not isinstance(state, dict):
        raise SnapshotError(f"a {type(state).__name__} is no state")
    return state


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


def _read_part(
    connection: Connection, table: sa.Table, here: sa.ColumnElement[bool]
) -> dict[str, bytes]:
    """What changes less often of the states that are here."""
    models = select(tables.states.c.model).where(here)
    rows = connection.execute(select(table.c.model, table.c.blob).where(table.c.model.in_(models)))
    return {model: blob for model, blob in rows}


def _set_aside(connection: Connection, aside: SetAside) -> None:
    """Puts a state away, with a finding, and leaves an empty one: until it is replaced, its model
    is known to have lost it, however often the daemon is started."""
    model = aside.model
    all_parts = (tables.states, *_SELDOM)
    stored = [
        connection.execute(select(each.c.blob).where(each.c.model == model)).scalar()
        for each in all_parts
    ]
    if stored[0] is None:
        return
    told = msgspec.structs.asdict(aside)
    kept = [{**told, "blob": blob} for blob in stored if blob is not None]
    connection.execute(sa.insert(tables.states_set_aside), kept)
    insert_new(connection, tables.findings, [rows.finding(aside.finding)])
    for each in _SELDOM:
        connection.execute(sa.delete(each).where(each.c.model == model))
    empty = {"blob": snapshots.encode({})}
    connection.execute(update(tables.states).where(_s.model == model).values(empty))
