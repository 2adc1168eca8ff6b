"""The conformance checks catch what they are for: one broken detector each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import ClassVar

import pytest

from watchkeeper.detectors import checks
from watchkeeper.detectors.setting import setting
from watchkeeper.detectors.types import EachSample, Finding, Sample, Samples, State

_calls = count()


@dataclass
class Sound(EachSample):
    """Fires above a half."""

    name: ClassVar[str] = "sound"
    sustained: ClassVar[bool] = True

    least: float = setting(0.5, "fires above it")
    _count: int = 0
    _past: list[float] = field(default_factory=list)

    def judge(self, sample: Sample) -> Finding | None:
        self._count += 1
        if sample.value <= self.least:
            return None
        return self.finding(sample, statistic=sample.value, threshold=self.least)


@dataclass
class Nameless(Sound):
    """Has no name."""

    name: ClassVar[str] = ""


@dataclass
class Undocumented(Sound):
    """Has a setting without a meaning."""

    more: float = 1.0


@dataclass
class Random(Sound):
    """Gives another answer every time."""

    def judge(self, sample: Sample) -> Finding | None:
        return self.finding(sample, statistic=float(next(_calls)), threshold=0.0)


@dataclass
class Calls(Sound):
    """Sees where a call begins."""

    def update(self, samples: Samples) -> list[Finding]:
        return super().update(samples)[:1]


@dataclass
class Forgetful(Sound):
    """Leaves a part of its state out."""

    def __post_init__(self) -> None:
        self.hidden = 0

    def judge(self, sample: Sample) -> Finding | None:
        self.hidden += 1
        return super().judge(sample) if self.hidden > 100 else None


@dataclass
class Shared(Sound):
    """Gives out its own list as its state."""

    def judge(self, sample: Sample) -> Finding | None:
        self._past.append(0.0)
        del self._past[:-60]
        return super().judge(sample)


@dataclass
class Growing(Sound):
    """Remembers everything."""

    def judge(self, sample: Sample) -> Finding | None:
        self._past = [*self._past, sample.value]
        return super().judge(sample)


@dataclass
class Trusting(Sound):
    """Takes up any state."""

    def restore(self, state: State) -> None:
        self._count = int(state.get("_count", 0) or 0) if state.get("_count") != "damaged" else 0


@dataclass
class Fragile(Sound):
    """Divides by what may be nothing."""

    def judge(self, sample: Sample) -> Finding | None:
        return self.finding(sample, statistic=1 / sample.value, threshold=0.0)


@dataclass
class Unbounded(Sound):
    """Overflows without a word."""

    def judge(self, sample: Sample) -> Finding | None:
        return self.finding(sample, statistic=sample.value * sample.value, threshold=0.0)


@dataclass
class Hasty(Sound):
    """Judges windows with too few events."""

    def update(self, samples: Samples) -> list[Finding]:
        least, self.min_n = self.min_n, 0
        found = super().update(samples)
        self.min_n = least
        return found


@dataclass
class Mistaken(Sound):
    """Signs with another name."""

    def update(self, samples: Samples) -> list[Finding]:
        return [
            Finding(f.series, "x", f.severity, f.since, f.at, f.value, 0.0, 1.0, 0.0, f.n)
            for f in super().update(samples)
        ]


@pytest.mark.parametrize("check", checks.CHECKS, ids=lambda check: check.__name__)
def test_a_sound_detector_passes(check: Callable[[checks.Make], None]) -> None:
    check(Sound)


@pytest.mark.parametrize(
    ("check", "broken"),
    [
        (checks.check_declares_itself, Nameless),
        (checks.check_settings, Undocumented),
        (checks.check_is_deterministic, Random),
        (checks.check_cuts_do_not_matter, Calls),
        (checks.check_state_round_trip, Forgetful),
        (checks.check_state_is_a_copy, Shared),
        (checks.check_state_is_bounded, Growing),
        (checks.check_foreign_state_is_refused, Trusting),
        (checks.check_odd_numbers, Fragile),
        (checks.check_odd_numbers, Unbounded),
        (checks.check_min_n, Hasty),
        (checks.check_findings, Mistaken),
    ],
)
def test_a_broken_detector_fails(check: Callable[[checks.Make], None], broken: type[Sound]) -> None:
    with pytest.raises(checks.CheckFailed):
        check(broken)
