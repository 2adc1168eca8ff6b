"""What a user decided about one model, as the core needs it."""

from __future__ import annotations

from fnmatch import fnmatchcase

import msgspec

from watchkeeper.detectors.suite import Watch
from watchkeeper.detectors.types import Series
from watchkeeper.handlers.types import Mode


class ModelPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the core has to know about one model. Durations in seconds.

    `window_s` is the width of event-time windows; an event is late when it is older than the
    newest event of its model by more than `lateness_s` and its window has closed. `learn_n` is
    the number of predictions the reference is learned from.
    """

    window_s: float = 60.0
    lateness_s: float = 10.0
    learn_n: int = 2_000
    positive: str | None = None
    mode: Mode = Mode.OBSERVE
    modes: dict[str, Mode] = {}
    watches: tuple[Watch, ...] = ()
    without: tuple[str, ...] = ()
    cooldown_s: float = 6 * 3600.0
    daily_limit: int = 2
    recover_windows: int = 3
    verify_windows: int = 20
    join_capacity: int = 50_000
    join_horizon_s: float = 7 * 86_400.0
    examples_min: int = 1_000
    deployment_window_s: float = 72 * 3600.0
    healthy_windows_min: int = 10

    def watches_of(self, series: Series) -> list[Watch]:
        """The watches that stand over a series."""
        return [w for w in self.watches if self._stands(w, series)]

    def _stands(self, watch: Watch, series: Series) -> bool:
        if watch.signal != series.signal or not fnmatchcase(series.target, watch.target):
            return False
        name = f"{series.signal}/{series.target}:{watch.detector}"
        return not any(fnmatchcase(name, pattern) for pattern in self.without)

    def mode_of(self, action: str) -> Mode:
        """The mode that holds for one kind of action."""
        return self.modes.get(action, self.mode)
