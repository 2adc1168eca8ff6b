"""Who runs which step of an action: written before the call, so that nothing is done blindly."""

from __future__ import annotations

from typing import get_args

import sqlalchemy as sa
from sqlalchemy import RowMapping, select, update
from sqlalchemy.engine import Connection

from watchkeeper.daemon.storage import rows, tables
from watchkeeper.daemon.storage.database import Database, clock, put
from watchkeeper.daemon.storage.leases import Leases, acquire
from watchkeeper.daemon.storage.unreadable import left_out, readable
from watchkeeper.daemon.storage.values import AuditEntry, Run, RunStep
from watchkeeper.handlers.errors import Withdrawn
from watchkeeper.handlers.types import ActionState

_r = tables.action_runs.c
_a = tables.actions.c

# The states in which a step may begin, or begin once more after a crash.
_BEFORE: dict[str, tuple[ActionState, ...]] = {
    "run": (ActionState.PERMITTED, ActionState.STARTED),
    "undo": (ActionState.UNDOING,),
}
_STEPS: tuple[RunStep, ...] = get_args(RunStep)


class Claims:
    """One instance's right to act. Two instances never have it for one lease at one time."""

    def __init__(self, db: Database, holder: str, ttl_s: float) -> None:
        self._db = db
        self._leases = Leases(db)
        self._holder = holder
        self._ttl_s = ttl_s

    def claim(self, action_id: str, step: str, lease: str) -> int | None:
        """Takes the lease and commits that the step is started; the lease's rising token.

        None while another instance holds the lease; again by the same instance: the same token.
        Raises `Withdrawn` for an action whose state (by now) asks for no such step: waiting for
        that one is in vain.
        """
        with self._db.write() as connection:
            known = select(_a.model, _a.state).where(_a.id == action_id).with_for_update()
            model, state = connection.execute(known).one_or_none() or ("", "unknown")
            if state not in _BEFORE[step]:
                raise Withdrawn(f"the action is {state}: there is nothing to {step}")
            token = acquire(connection, _lease(lease), self._holder, self._ttl_s)
            if token is not None:
                self._start(connection, action_id, step, model, token)
            return token

    def renew(self, lease: str, token: int) -> bool:
        """Prolongs a lease; False when it has been lost."""
        return self._leases.renew(_lease(lease), token, self._ttl_s)

    def release(self, lease: str, token: int) -> None:
        """Gives a lease back; nothing happens when it was lost already."""
        self._leases.release(_lease(lease), token)

    def started(self) -> list[Run]:
        """Steps that somebody began and whose end the core has not seen, oldest first."""
        under_way = _a.state.in_((ActionState.STARTED, ActionState.UNDOING))
        # An action that is being undone has a finished run beside its undo.
        now = sa.case((_a.state == ActionState.UNDOING, "undo"), else_="run") == _r.step
        both = tables.action_runs.join(tables.actions, _a.id == _r.action_id)
        columns = (_a.id, _a.model, _a.body, _a.state, _r.step, _r.holder, _r.token, _r.started_at)
        wanted = select(*columns).select_from(both).where(under_way, now)
        with self._db.read() as connection:
            found = connection.execute(wanted.order_by(_r.started_at)).mappings().all()
        return readable(found, _run, left_out)

    def _start(
        self, connection: Connection, action_id: str, step: str, model: str, token: int
    ) -> None:
        at: float = connection.execute(select(clock(connection))).scalar_one()
        row = {
            "action_id": action_id,
            "step": step,
            "model": model,
            "holder": self._holder,
            "token": token,
            "started_at": at,
        }
        begun = (_r.action_id == action_id) & (_r.step == step)
        if connection.execute(select(_r.token).where(begun)).scalar() != token:
            line = AuditEntry(at, self._holder, "started", action_id, step)
            connection.execute(sa.insert(tables.audit), [rows.plain(line)])
        put(connection, tables.action_runs, [row])
        if step == "run":
            here = update(tables.actions).where(_a.id == action_id)
            connection.execute(here.values(state=ActionState.STARTED.value))


def _run(row: RowMapping) -> Run:
    return Run(
        action=rows.as_action(row),
        step=next(each for each in _STEPS if each == row["step"]),
        holder=row["holder"],
        token=row["token"],
        started_at=row["started_at"],
    )


def _lease(name: str) -> str:
    return f"action:{name}"
