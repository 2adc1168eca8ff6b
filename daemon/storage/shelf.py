"""The daemon's own registry as handlers use it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from watchkeeper.daemon.storage.database import DatabaseDown
from watchkeeper.daemon.storage.registry import Registry
from watchkeeper.daemon.storage.values import ModelVersion
from watchkeeper.handlers.errors import Unreachable
from watchkeeper.handlers.targets.registry import Artefact, NewVersion

_NEVER = ("faulty", "rejected")  # statuses of versions that must not be made live


class Shelf:
    """Fulfils `RegistryPort` of the registry target. `clock` gives seconds since the epoch."""

    def __init__(self, registry: Registry, clock: Callable[[], float]) -> None:
        self._registry = registry
        self._clock = clock

    def live(self, model: str) -> str | None:
        """The version that was made live last; None for an unknown model."""
        with _reached():
            current = self._registry.live(model)
        return None if current is None else current.version

    def versions(self, model: str) -> list[str]:
        """Every version of a model that may be made live, oldest first."""
        with _reached():
            known = self._registry.versions(model)
        return [each.version for each in known if each.status not in _NEVER]

    def set_live(self, model: str, version: str, by: str, reason: str, key: str) -> None:
        """Records `version` as live, in one transaction and once for a `key`."""
        with _reached():
            self._registry.set_live(model, version, self._clock(), by, reason, key)

    def artefact(self, model: str, version: str) -> Artefact | None:
        """The file of a version, if one was registered with it."""
        with _reached():
            known = self._registry.version(model, version)
        return Artefact(known.uri, known.digest) if known is not None and known.uri else None

    def add(self, model: str, new: NewVersion, key: str) -> None:
        """Registers a version, once for a `key`; it is not live by that."""
        version = ModelVersion(
            model=model,
            version=new.version,
            status="candidate",
            created_at=self._clock(),
            digest=new.artefact.digest,
            uri=new.artefact.path,
            parent=new.parent,
            dataset=new.dataset_digest,
            by=key,
        )
        with _reached():
            self._registry.register(version)


@contextmanager
def _reached() -> Iterator[None]:
    try:
        yield
    except DatabaseDown as error:
        raise Unreachable(f"the database does not answer: {error}") from error
