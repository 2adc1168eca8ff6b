"""Who runs which step of an action: written before the call, so that nothing is done twice."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import RowMapping, select, update

from watchkeeper.daemon.storage import rows, snapshots, tables
from watchkeeper.daemon.storage.database import Database
from watchkeeper.daemon.storage.leases import next_token
from watchkeeper.daemon.storage.values import Fenced, Run, RunStep
from watchkeeper.handlers.types import Action, ActionState, Outcome

_r = tables.action_runs.c
_a = tables.actions.c

# The states in which a step may begin.
_BEFORE: dict[RunStep, tuple[ActionState, ...]] = {
    "preflight": (ActionState.PLANNED, ActionState.HELD, ActionState.PERMITTED),
    "run": (ActionState.PERMITTED,),
    "undo": (ActionState.UNDOING,),
}


class Claims:
    """Each step of each action is begun once, whoever and however often they try."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def claim(self, action_id: str, holder: str, at: float, step: RunStep = "run") -> int | None:
        """A token for the caller alone, committed; None when it is not there to be begun.

        Claiming "run" turns a PERMITTED action into a STARTED one.
        """
        with self._db.write() as connection:
            ready = select(_a.model).where(_a.id == action_id, _a.state.in_(_BEFORE[step]))
            model = connection.execute(ready.with_for_update()).scalar()
            begun = select(_r.token).where(_r.action_id == action_id, _r.step == step)
            if model is None or connection.execute(begun).first():
                return None
            token = next_token(connection, f"actions:{model}")
            row = {"action_id": action_id, "step": step, "model": model, "holder": holder}
            new = sa.insert(tables.action_runs).values(**row, token=token, started_at=at)
            connection.execute(new)
            if step == "run":
                here = update(tables.actions).where(_a.id == action_id)
                connection.execute(here.values(state=ActionState.STARTED.value))
            return token

    def take_over(
        self, action_id: str, holder: str, at: float, step: RunStep = "run"
    ) -> int | None:
        """A new token for a step whose runner died, before it is reconciled; None if it ended."""
        with self._db.write() as connection:
            here = (_r.action_id == action_id) & (_r.step == step) & _r.outcome.is_(None)
            model = connection.execute(select(_r.model).where(here).with_for_update()).scalar()
            if model is None:
                return None
            token = next_token(connection, f"actions:{model}")
            mine = update(tables.action_runs).where(here)
            connection.execute(mine.values(holder=holder, token=token, started_at=at))
            return token

    def finish(self, outcome: Outcome, token: int) -> None:
        """Keeps the outcome until the core has taken it in. Raises Fenced for an old token."""
        here = (_r.action_id == outcome.action_id) & (_r.step == outcome.step)
        ended = update(tables.action_runs).where(here, _r.token == token, _r.outcome.is_(None))
        with self._db.write() as connection:
            done = connection.execute(ended.values(outcome=snapshots.encode(outcome)))
            if done.rowcount != 1:
                raise Fenced(f"{outcome.action_id}: somebody else ended or took over this step")

    def started(self) -> list[Run]:
        """Steps that were begun and have not ended: to be reconciled after a crash."""
        return self._runs(_r.outcome.is_(None))

    def outcomes(self) -> list[Outcome]:
        """Outcomes the core has not taken in yet, oldest first."""
        runs = self._runs(_r.outcome.is_not(None) & _r.taken_at.is_(None))
        return [run.outcome for run in runs if run.outcome is not None]

    def permitted(self) -> list[Action]:
        """Actions that may be run and that nobody has begun, oldest first."""
        return self._ready("run")

    def undoing(self) -> list[Action]:
        """Actions to be undone and that nobody has begun to undo, oldest first."""
        return self._ready("undo")

    def _ready(self, step: RunStep) -> list[Action]:
        begun = select(_r.action_id).where(_r.action_id == _a.id, _r.step == step)
        wanted = select(tables.actions).where(_a.state.in_(_BEFORE[step]), ~begun.exists())
        with self._db.read() as connection:
            found = connection.execute(wanted.order_by(_a.planned_at, _a.id)).mappings().all()
        return [rows.as_action(row) for row in found]

    def _runs(self, where: sa.ColumnElement[bool]) -> list[Run]:
        both = tables.action_runs.join(tables.actions, _a.id == _r.action_id)
        columns = (_a.body, _a.state, _r.step, _r.holder, _r.token, _r.started_at, _r.outcome)
        wanted = select(*columns).select_from(both).where(where).order_by(_r.token)
        with self._db.read() as connection:
            return [_run(row) for row in connection.execute(wanted).mappings().all()]


def _run(row: RowMapping) -> Run:
    outcome = row["outcome"]
    return Run(
        action=rows.as_action(row),
        step=row["step"],
        holder=row["holder"],
        token=row["token"],
        started_at=row["started_at"],
        outcome=None if outcome is None else snapshots.decode_as(outcome, Outcome),
    )
