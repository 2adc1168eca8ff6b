"""The daemon's own registry: versions of models, and which one was live at any time."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import RowMapping, select, update
from sqlalchemy.engine import Connection

from watchkeeper.daemon.storage import rows, snapshots, tables
from watchkeeper.daemon.storage.database import Database, insert_new, put
from watchkeeper.daemon.storage.records import read_profiles
from watchkeeper.daemon.storage.values import Deployment, ModelVersion, VersionStatus
from watchkeeper.detectors.profile import Profile

_v = tables.versions.c
_d = tables.deployments.c
_m = tables.models.c


class UnknownVersion(Exception):
    """The registry has no such version."""


class Registry:
    """Versions with digest, place, parent and status; deployments without gaps or overlaps."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def register(self, version: ModelVersion) -> bool:
        """True when it is new. A version with the same digest is left as it is; with another
        digest it is refused with ValueError: a version never changes its content."""
        with self._db.write() as connection:
            known = _version(connection, version.model, version.version)
            if known is not None and known.digest not in ("", version.digest):
                raise ValueError(
                    f"{version.model} {version.version} is registered with digest {known.digest}"
                )
            _ensure(connection, version.model, version.created_at)
            if known is None:
                insert_new(connection, tables.versions, [_row(version)])
            return known is None

    def set_status(self, model: str, version: str, status: VersionStatus) -> None:
        """Says what became of a version; to make it live use `set_live`."""
        with self._db.write() as connection:
            if _version(connection, model, version) is None:
                raise UnknownVersion(f"{model} has no version {version!r}")
            _mark(connection, model, version, status)

    def set_live(
        self, model: str, version: str, at: float, by: str, reason: str, key: str | None = None
    ) -> bool:
        """True when it changed which version is live, as of `at`; False when it was so already,
        or when it had been done for the same `key`."""
        with self._db.write() as connection:
            locked = select(_m.model).where(_m.model == model).with_for_update()
            connection.execute(locked)
            if _version(connection, model, version) is None:
                raise UnknownVersion(f"{model} has no version {version!r}")
            current = _current(connection, model)
            if current is not None and current.version == version:
                return False
            if key is not None and connection.execute(select(_d.id).where(_d.key == key)).first():
                return False
            if current is not None:
                # A start after `at` would give it a negative life; it then had none.
                ended = update(tables.deployments).where(_d.model == model, _d.to_at.is_(None))
                connection.execute(ended.values(to_at=max(at, current.from_at)))
                previous = _version(connection, model, current.version)
                if previous is not None and previous.status == "live":
                    _mark(connection, model, current.version, "retired")
            row = {"model": model, "version": version, "from_at": at, "by": by, "reason": reason}
            connection.execute(sa.insert(tables.deployments).values(**row, key=key))
            _mark(connection, model, version, "live")
            return True

    def live(self, model: str) -> Deployment | None:
        """What is live now."""
        with self._db.read() as connection:
            return _current(connection, model)

    def live_at(self, model: str, at: float) -> str | None:
        """The version that was live at that moment; None when none was."""
        there = (_d.from_at <= at) & (_d.to_at.is_(None) | (_d.to_at > at))
        wanted = select(_d.version).where(_d.model == model, there).order_by(_d.id.desc())
        with self._db.read() as connection:
            version: str | None = connection.execute(wanted.limit(1)).scalar()
            return version

    def versions(self, model: str) -> list[ModelVersion]:
        """All versions, oldest first."""
        wanted = (
            select(tables.versions).where(_v.model == model).order_by(_v.created_at, _v.version)
        )
        with self._db.read() as connection:
            return [_as_version(row) for row in connection.execute(wanted).mappings().all()]

    def version(self, model: str, version: str) -> ModelVersion | None:
        """One version."""
        with self._db.read() as connection:
            return _version(connection, model, version)

    def deployments(self, model: str) -> list[Deployment]:
        """What was live when, oldest first."""
        wanted = select(tables.deployments).where(_d.model == model).order_by(_d.id)
        with self._db.read() as connection:
            return [_deployment(row) for row in connection.execute(wanted).mappings().all()]

    def models(self) -> list[str]:
        """The models that have a version, by name."""
        with self._db.read() as connection:
            return list(connection.execute(select(_m.model).order_by(_m.model)).scalars())

    def profiles(self, model: str) -> list[Profile]:
        """The references of a model, oldest first."""
        with self._db.read() as connection:
            return read_profiles(connection, [model])

    def put_profile(self, profile: Profile, at: float) -> None:
        """Stores a reference in place of the version's old one."""
        with self._db.write() as connection:
            put(connection, tables.profiles, [rows.profile(profile, at)])


def _ensure(connection: Connection, model: str, at: float) -> None:
    insert_new(connection, tables.models, [{"model": model, "created_at": at}])


def _mark(connection: Connection, model: str, version: str, status: VersionStatus) -> None:
    here = update(tables.versions).where(_v.model == model, _v.version == version)
    connection.execute(here.values(status=status))


def _current(connection: Connection, model: str) -> Deployment | None:
    wanted = select(tables.deployments).where(_d.model == model, _d.to_at.is_(None))
    row = connection.execute(wanted.order_by(_d.id.desc())).mappings().first()
    return None if row is None else _deployment(row)


def _version(connection: Connection, model: str, version: str) -> ModelVersion | None:
    wanted = select(tables.versions).where(_v.model == model, _v.version == version)
    row = connection.execute(wanted).mappings().first()
    return None if row is None else _as_version(row)


def _row(version: ModelVersion) -> dict[str, object]:
    fields = {name: getattr(version, name) for name in version.__struct_fields__}
    return {**fields, "metrics": snapshots.encode(version.metrics)}


def _as_version(row: RowMapping) -> ModelVersion:
    return ModelVersion(**{**row, "metrics": snapshots.decode(row["metrics"])})


def _deployment(row: RowMapping) -> Deployment:
    return Deployment(**{name: row[name] for name in Deployment.__struct_fields__})
