"""Who may page: detectors that are bounded by construction, and those that were measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec
import structlog

from watchkeeper.daemon.core.policy import ModelPolicy
from watchkeeper.detectors.registry import needs_calibration
from watchkeeper.detectors.run_length import RunLength
from watchkeeper.detectors.suite import Watch
from watchkeeper.detectors.types import Severity

LEAST_OBSERVED = 4  # times the observed windows that must be as many as are wanted

Known = Mapping[tuple[str, str], RunLength]

log = structlog.get_logger()


def run_length_wanted(policy: ModelPolicy) -> int:
    """Windows that pass between two false pages of a model, by what its user accepts."""
    return max(1, round(policy.false_alarm_s / policy.window_s))


def restrained(policy: ModelPolicy, model: str, known: Known) -> tuple[ModelPolicy, list[Watch]]:
    """The policy where whoever was not measured, or runs too short, only opens incidents; and
    those watches. What is bounded by construction is not asked."""
    wanted, kept, held = run_length_wanted(policy), [], []
    for watch in policy.watches:
        pages = watch.severity is Severity.CRITICAL and needs_calibration(watch.detector)
        if pages and not long_enough(known.get((model, watch.digest)), wanted):
            held.append(watch)
            kept.append(msgspec.structs.replace(watch, severity=Severity.WARNING))
        else:
            kept.append(watch)
    return (msgspec.structs.replace(policy, watches=tuple(kept)) if held else policy), held


def long_enough(measured: RunLength | None, wanted: int) -> bool:
    """Whether a detector was seen to run as long as its user wants between two findings, on at
    least a quarter of that time."""
    if measured is None or measured.windows < wanted or LEAST_OBSERVED * measured.observed < wanted:
        return False
    return measured.mean >= wanted


def policies(policy: Callable[[str], ModelPolicy], known: Known) -> Callable[[str], ModelPolicy]:
    """Policies under which only those page who may; says of the others that they do not."""

    def given(model: str) -> ModelPolicy:
        allowed, held = restrained(policy(model), model, known)
        for watch in held:
            name = f"{watch.signal}/{watch.target}:{watch.detector}"
            log.warning("not calibrated: opens incidents, pages nobody", model=model, watch=name)
        return allowed

    return given
