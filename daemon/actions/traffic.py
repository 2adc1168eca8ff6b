"""What the core's state and the store show, for handlers in the executor's threads."""

from __future__ import annotations

from dataclasses import dataclass

from watchkeeper.daemon.core.state import State
from watchkeeper.daemon.storage.store import Store
from watchkeeper.handlers.examples import Examples, joined


@dataclass
class StreamTraffic:
    """Which versions answer, as the stream last showed, also while models are being taken up anew.
    Only looks at single values, so that it may be asked from any thread."""

    state: State

    def live_version(self, model: str) -> str | None:
        found = self.state.shown(model)
        return None if found is None else found.live or None

    def known_versions(self, model: str) -> list[str]:
        found = self.state.shown(model)
        return [] if found is None else found.versions


@dataclass
class StoredExamples:
    """Labelled predictions out of the kept frames."""

    store: Store

    def newest(self, model: str, limit: int) -> Examples:
        return joined(self.store.captured(model), limit)
