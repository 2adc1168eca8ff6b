"""The daemon's own registry: versions of models, and which one was live at any time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
import sqlalchemy as sa
from sqlalchemy import RowMapping, select, update
from sqlalchemy.engine import Connection

from watchkeeper.daemon.storage import rows, snapshots, tables
from watchkeeper.daemon.storage.database import Database, insert_new, put
from watchkeeper.daemon.storage.records import profile_rows, read_profiles
from watchkeeper.daemon.storage.unreadable import left_out, noted, readable
from watchkeeper.daemon.storage.values import (
    Deployment,
    ModelVersion,
    VersionKey,
    VersionStatus,
)
from watchkeeper.detectors.profile import Profile

_v = tables.versions.c
_d = tables.deployments.c
_m = tables.models.c
_OLDEST = (_d.from_at, _d.id)
_NEWEST = (_d.from_at.desc(), _d.id.desc())


class UnknownVersion(Exception):
    """The registry has no such version."""


class Registry:
    """Versions with digest, place, parent and status; deployments without gaps or overlaps.

    A deployment that is heard of late takes its place in time: what was live at any moment is the
    same in whichever order the news came, and what is live now is what went live last.
    """

    def __init__(self, db: Database) -> None:
        self._db = db

    def register(self, version: ModelVersion) -> bool:
        """True when it is new, or was known by its name only. A version with the same digest is
        left as it is; with another it is refused with ValueError: content never changes."""
        with self._db.write() as connection:
            known = _version(connection, version.model, version.version)
            if known is not None and known.digest not in ("", version.digest):
                raise ValueError(
                    f"{version.model} {version.version} is registered with digest {known.digest}"
                )
            _ensure(connection, version.model, version.created_at)
            if known is None:
                insert_new(connection, tables.versions, [_row(version)])
            elif not known.digest and version.digest:
                _fill_in(connection, version)
            return known is None or known.digest != version.digest

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
            _lock(connection, model)
            if _version(connection, model, version) is None:
                raise UnknownVersion(f"{model} has no version {version!r}")
            current = _current(connection, model)
            if (current is not None and current.version == version) or _done(connection, key):
                return False
            # A start before that of what is live would leave that live: this is an order.
            start = at if current is None else max(at, current.from_at)
            _insert(connection, Deployment(model, version, start, None, by, reason, key))
            _mark(connection, model, version, "live")
            return True

    def live(self, model: str) -> Deployment | None:
        """What is live now."""
        with self._db.read() as connection:
            return _current(connection, model)

    def live_at(self, model: str, at: float) -> str | None:
        """The version that was live at that moment; None when none was."""
        there = (_d.from_at <= at) & (_d.to_at.is_(None) | (_d.to_at > at))
        wanted = select(_d.version).where(_d.model == model, there).order_by(*_NEWEST)
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
        wanted = select(tables.deployments).where(_d.model == model).order_by(*_OLDEST)
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

    def imported(self, models: Sequence[str]) -> Iterator[Profile]:
        """The references of the models that people gave, oldest first. Each is unpacked as it is
        asked for: one takes as much memory as all that is kept of its model."""
        with self._db.read() as connection:
            found = profile_rows(connection, models, "imported")
        return (each for row in found for each in readable([row], rows.as_profile, left_out))

    def put_profile(self, profile: Profile, at: float) -> None:
        """Stores a reference in place of the version's old one."""
        with self._db.write() as connection:
            put(connection, tables.profiles, [rows.profile(profile, at)])


def record(connection: Connection, deployments: Sequence[Deployment]) -> None:
    """Takes up what is said to have gone live, once for a key; an unknown version is registered
    by its name. Only `from_at` says when: each lasts until the next one in time."""
    for each in deployments:
        _ensure(connection, each.model, each.from_at)
        _lock(connection, each.model)
        if not _done(connection, each.key):
            _know(connection, each.model, each.version, each.from_at, each.by)
            _insert(connection, each)


def blame(connection: Connection, versions: Sequence[VersionKey], at: float) -> None:
    """Marks versions as faulty for ever, known or not."""
    for model, version in versions:
        _ensure(connection, model, at)
        _know(connection, model, version, at, "incident")
        _mark(connection, model, version, "faulty")


def _insert(connection: Connection, new: Deployment) -> None:
    """Ends the one before it in time and lets it last until the one after it."""
    mine = select(tables.deployments).where(_d.model == new.model)
    earlier = mine.where(_d.from_at <= new.from_at).order_by(*_NEWEST).limit(1)
    later = mine.where(_d.from_at > new.from_at).order_by(*_OLDEST).limit(1)
    before = connection.execute(earlier).mappings().first()
    after = connection.execute(later).mappings().first()
    if before is not None:
        here = update(tables.deployments).where(_d.id == before["id"])
        connection.execute(here.values(to_at=new.from_at))
    row = {**msgspec.structs.asdict(new), "to_at": None if after is None else after["from_at"]}
    connection.execute(sa.insert(tables.deployments).values(**row))
    _settle(connection, new.model, {new.version} | ({before["version"]} if before else set()))


def _settle(connection: Connection, model: str, versions: set[str]) -> None:
    """Says of versions whether they are live or were; a faulty one stays faulty."""
    current = _current(connection, model)
    for each in versions:
        status = "live" if current is not None and current.version == each else "retired"
        here = update(tables.versions).where(_v.model == model, _v.version == each)
        plain = _v.status.in_(("candidate", "live", "retired"))
        connection.execute(here.where(plain).values(status=status))


def _lock(connection: Connection, model: str) -> None:
    connection.execute(select(_m.model).where(_m.model == model).with_for_update())


def _done(connection: Connection, key: str | None) -> bool:
    if key is None:
        return False
    return connection.execute(select(_d.id).where(_d.key == key)).first() is not None


def _know(connection: Connection, model: str, version: str, at: float, by: str) -> None:
    named = ModelVersion(model=model, version=version, status="candidate", created_at=at, by=by)
    insert_new(connection, tables.versions, [_row(named)])


def _fill_in(connection: Connection, version: ModelVersion) -> None:
    """Adds to a version that was known by its name only what is known of it now."""
    row = _row(version)
    new = {name: row[name] for name in ("digest", "uri", "parent", "dataset", "metrics", "by")}
    here = update(tables.versions).where(_v.model == version.model, _v.version == version.version)
    connection.execute(here.values(**new))


def _ensure(connection: Connection, model: str, at: float) -> None:
    insert_new(connection, tables.models, [{"model": model, "created_at": at}])


def _mark(connection: Connection, model: str, version: str, status: VersionStatus) -> None:
    here = update(tables.versions).where(_v.model == model, _v.version == version)
    connection.execute(here.values(status=status))


def _current(connection: Connection, model: str) -> Deployment | None:
    wanted = select(tables.deployments).where(_d.model == model, _d.to_at.is_(None))
    row = connection.execute(wanted.order_by(*_NEWEST)).mappings().first()
    return None if row is None else _deployment(row)


def _version(connection: Connection, model: str, version: str) -> ModelVersion | None:
    wanted = select(tables.versions).where(_v.model == model, _v.version == version)
    row = connection.execute(wanted).mappings().first()
    return None if row is None else _as_version(row)


def _row(version: ModelVersion) -> dict[str, object]:
    fields = {name: getattr(version, name) for name in version.__struct_fields__}
    return {**fields, "metrics": snapshots.encode(version.metrics)}


def _as_version(row: RowMapping) -> ModelVersion:
    return ModelVersion(**{**row, "metrics": noted(row, "metrics", dict[str, float])})


def _deployment(row: RowMapping) -> Deployment:
    return Deployment(**{name: row[name] for name in Deployment.__struct_fields__})
