"""What was measured of detectors before they may page."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import select

from watchkeeper.daemon.storage import tables
from watchkeeper.daemon.storage.database import Database, put
from watchkeeper.detectors.run_length import RunLength
from watchkeeper.detectors.suite import Watch

_c = tables.calibrations.c


class Calibrations:
    """The run length of each watch of each model on its own history; the newest one counts."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def put(self, model: str, found: Iterable[tuple[Watch, RunLength]], at: float) -> None:
        """Keeps what was measured of a model's watches."""
        rows = [
            {"model": model, "watch": w.digest, "windows": r.windows, "runs": r.runs, "at": at}
            for w, r in found
        ]
        with self._db.write() as connection:
            put(connection, tables.calibrations, rows)

    def of(self, models: Iterable[str] | None = None) -> dict[tuple[str, str], RunLength]:
        """What is known, by model and the watch's digest; of all models where none is named."""
        asked = select(_c.model, _c.watch, _c.windows, _c.runs)
        if models is not None:
            asked = asked.where(_c.model.in_(list(models)))
        with self._db.read() as connection:
            return {(m, w): RunLength(n, runs) for m, w, n, runs in connection.execute(asked)}
