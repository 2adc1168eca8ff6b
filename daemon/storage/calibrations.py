"""What was measured of detectors before they may page."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import select

from watchkeeper.daemon.storage import tables
from watchkeeper.daemon.storage.database import Database, put
from watchkeeper.detectors.run_length import RunLength

_c = tables.calibrations.c


class Calibrations:
    """The run length of each watch of each model on its own history; the newest one counts."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def put(self, model: str, watch: str, found: RunLength, at: float) -> None:
        """Keeps what was measured of a model's watch, named by its digest."""
        row = {"model": model, "watch": watch, "windows": found.windows, "runs": found.runs}
        with self._db.write() as connection:
            put(connection, tables.calibrations, [{**row, "observed": found.observed, "at": at}])

    def of(self, models: Iterable[str] | None = None) -> dict[tuple[str, str], RunLength]:
        """What is known, by model and the watch's digest; of all models where none is named."""
        asked = select(_c.model, _c.watch, _c.windows, _c.runs, _c.observed)
        if models is not None:
            asked = asked.where(_c.model.in_(list(models)))
        with self._db.read() as connection:
            return {(m, w): RunLength(*rest) for m, w, *rest in connection.execute(asked)}
