"""What the core's state and the store show, for handlers in the executor's threads."""

from __future__ import annotations

from dataclasses import dataclass

from watchkeeper.daemon.core.state import State
from watchkeeper.daemon.storage.store import Store
from watchkeeper.handlers.examples import Examples, joined


@dataclass
class StreamTraffic:
    """Which versions answer, as the stream last showed. Only looks at single values, so that it
    may be asked from any thread."""

    state: State

    def live_version(self, model: str) -> str | None:
        found = self.state.models.get(model)
        return found.live_version or None if found is not None else None

    def known_versions(self, model: str) -> list[str]:
        found = self.state.models.get(model)
        records = [] if found is None else list(found.versions.values())
        return [r.version for r in sorted(records, key=lambda r: r.first_seen)]


@dataclass
class StoredExamples:
    """Labelled predictions out of the kept frames."""

    store: Store

    def newest(self, model: str, limit: int) -> Examples:
        return joined(self.store.captured(model), limit)
