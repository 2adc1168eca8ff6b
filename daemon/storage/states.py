"""The models' states: written at a checkpoint, read by their next owner, set aside if damaged."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import sqlalchemy as sa
from sqlalchemy import select, update
from sqlalchemy.engine import Connection

from watchkeeper.daemon.storage import rows, snapshots, tables
from watchkeeper.daemon.storage.database import insert_new, parts, put
from watchkeeper.daemon.storage.snapshots import SnapshotError
from watchkeeper.daemon.storage.values import Checkpoint, Fenced, SetAside, State

_SELDOM = (tables.states_lasting, tables.states_references)  # parts of states beside the first
_LISTS = 2  # of names that are asked for at a time

# What every checkpoint says, made once: to make a statement costs more than to run it.
_s = tables.states.c
_NEWER = select(_s.model, _s.owner_epoch).where(_s.owner_epoch > sa.bindparam("epoch"))
_NEWER_OF = _NEWER.where(_s.model.in_(sa.bindparam("models", expanding=True)))


def write_states(
    connection: Connection, checkpoint: Checkpoint, pause: Callable[[], object]
) -> None:
    """Writes what changed of the states; Fenced where one is not, or no longer, of this owner."""
    wanted = sorted(checkpoint.states)
    epochs = _owned_epochs(connection, checkpoint, wanted)
    new = []
    for model in wanted:
        number, state = checkpoint.states[model]
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


def _owned_epochs(
    connection: Connection, checkpoint: Checkpoint, models: Sequence[str]
) -> dict[int, int]:
    """The owner's epoch of each partition number, once it is sure that the states are its own."""
    epochs: dict[int, int] = {}
    for partition, epoch in checkpoint.epochs.items():
        epochs[partition.number] = max(epoch, epochs.get(partition.number, 0))
    owners = _newer_owners(connection, models, min(epochs.values(), default=0))
    for model in models:
        number = checkpoint.states[model][0]
        if number not in epochs:
            raise Fenced(f"state of {model}: partition {number} is not owned")
        if owners.get(model, 0) > epochs[number]:
            raise Fenced(f"state of {model}: epoch {epochs[number]}, but {owners[model]} owns it")
    return epochs


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
    for newer in asked:
        found |= {model: number for model, number in newer}
    return found


def read_states(
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
            set_aside(connection, damaged[-1])
            state = {}
        if state:
            states[model] = state
        else:
            lost.append(model)
    return states, lost, damaged


def _read_part(
    connection: Connection, table: sa.Table, here: sa.ColumnElement[bool]
) -> dict[str, bytes]:
    """What changes less often of the states that are here."""
    models = select(tables.states.c.model).where(here)
    wanted = select(table.c.model, table.c.blob).where(table.c.model.in_(models))
    return {model: blob for model, blob in connection.execute(wanted)}


def _decoded(blob: bytes) -> State:
    state = snapshots.decode(blob)
    if not isinstance(state, dict):
        raise SnapshotError(f"a {type(state).__name__} is no state")
    return state


def set_aside(connection: Connection, aside: SetAside) -> None:
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


def own_states(connection: Connection, numbers: set[int], epoch: int) -> None:
    """Takes the states at home in the partitions over."""
    here = tables.states.c.partition.in_(numbers)
    connection.execute(update(tables.states).where(here).values(owner_epoch=epoch))


def homes(connection: Connection, numbers: set[int]) -> dict[str, int]:
    """The partition number of each model at home in one of these."""
    t = tables.states.c
    wanted = select(t.model, t.partition).where(t.partition.in_(numbers))
    return {model: number for model, number in connection.execute(wanted)}
