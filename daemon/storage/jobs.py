"""The rows of child processes that outlive the daemon."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import RowMapping, select, update

from watchkeeper.daemon.storage import snapshots, tables
from watchkeeper.daemon.storage.database import Database, insert_new
from watchkeeper.daemon.storage.unreadable import noted
from watchkeeper.daemon.storage.values import Job, JobState
from watchkeeper.detectors.types import Scalar

_t = tables.jobs.c
_LIVE: tuple[JobState, ...] = ("waiting", "running")


class Jobs:
    """One row a job, written before its process begins."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def add(self, job: Job) -> bool:
        """True when the row is new: the caller, and nobody else, may begin it."""
        with self._db.write() as connection:
            there = connection.execute(select(_t.id).where(_t.id == job.id)).first()
            if there is None:
                insert_new(connection, tables.jobs, [_row(job)])
            return there is None

    def running(self, job_id: str, pid: int, pid_started: float) -> None:
        """The process of a waiting job was begun."""
        values: dict[str, object] = {"state": "running", "pid": pid, "pid_started": pid_started}
        self._change(job_id, values)

    def end(self, job_id: str, state: JobState, at: float, result: dict[str, Scalar]) -> bool:
        """True when this ended it; False when it had ended before, and nothing changed."""
        values: dict[str, object] = {
            "state": state,
            "ended_at": at,
            "result": snapshots.encode(result),
        }
        return self._change(job_id, values)

    def get(self, job_id: str) -> Job | None:
        """One job."""
        return next(iter(self._select(_t.id == job_id)), None)

    def of_action(self, action_id: str) -> list[Job]:
        """The jobs of one action, oldest first."""
        return self._select(_t.action_id == action_id)

    def unfinished(self) -> list[Job]:
        """Jobs that have not ended, oldest first."""
        return self._select(_t.state.in_(_LIVE))

    def _change(self, job_id: str, values: dict[str, object]) -> bool:
        here = update(tables.jobs).where(_t.id == job_id, _t.state.in_(_LIVE))
        with self._db.write() as connection:
            return connection.execute(here.values(**values)).rowcount == 1

    def _select(self, where: sa.ColumnElement[bool]) -> list[Job]:
        wanted = select(tables.jobs).where(where).order_by(_t.started_at, _t.id)
        with self._db.read() as connection:
            return [_job(row) for row in connection.execute(wanted).mappings().all()]


def _row(job: Job) -> dict[str, object]:
    fields = {name: getattr(job, name) for name in job.__struct_fields__}
    return {**fields, "result": snapshots.encode(job.result)}


def _job(row: RowMapping) -> Job:
    return Job(**{**row, "result": noted(row, "result", dict[str, Scalar])})
