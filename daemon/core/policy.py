"""What a user decided about one model, as the core needs it."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Literal

import msgspec

from watchkeeper.detectors.suite import Watch
from watchkeeper.detectors.types import Series
from watchkeeper.handlers.types import Mode


class Suite(msgspec.Struct, frozen=True):
    """Watches, and patterns over `signal/target:detector` of those that are switched off."""

    watches: tuple[Watch, ...] = ()
    without: tuple[str, ...] = ()

    def stands(self, watch: Watch, signal: str, target: str) -> bool:
        """Whether the watch stands over the series of this signal and target."""
        if watch.signal != signal or not fnmatchcase(target, watch.target):
            return False
        return self.allows(signal, target, watch.detector)

    def allows(self, signal: str, target: str, detector: str) -> bool:
        """Whether a detector is not switched off for a series."""
        name = f"{signal}/{target}:{detector}"
        return not any(fnmatchcase(name, pattern) for pattern in self.without)


class ModelPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the core has to know about one model. Durations in seconds.

    `window_s` is the width of event-time windows; an event is late when it is older than the
    newest event of its model by more than `lateness_s` and its window has closed. `learn_n` is
    the number of predictions the reference is learned from. `false_alarm_s` is the time that may
    pass on average from one false page to the next. `attacks` says whether clients are compared
    with each other, `duplicates` whether inputs are, `multivariate` whether features are watched
    together, `weighted` whether estimates are weighted for the inputs of their window, `stretches`
    whether binary classifiers are judged by stretches of time, `rebaseline` whether a deployed
    version gets a reference of its own once it is accepted.
    """

    window_s: float = 60.0
    lateness_s: float = 10.0
    learn_n: int = 2_000
    false_alarm_s: float = 30 * 86_400.0
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
    attacks: bool = False
    duplicates: bool = False
    multivariate: bool = False
    weighted: bool = False
    stretches: bool = False
    rebaseline: Literal["accepted", "never"] = "accepted"

    @property
    def budget(self) -> float:
        """In how many windows one false page is accepted."""
        return self.false_alarm_s / self.window_s

    @property
    def suite(self) -> Suite:
        """The watches that stand over this model, and what is switched off."""
        return Suite(self.watches, self.without)

    def watches_of(self, series: Series) -> list[Watch]:
        """The watches that stand over a series."""
        suite = self.suite
        return [w for w in self.watches if suite.stands(w, series.signal, series.target)]

    def mode_of(self, action: str) -> Mode:
        """The mode that holds for one kind of action."""
        return self.modes.get(action, self.mode)
