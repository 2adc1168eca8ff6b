"""The built-in watches, made as sensitive as a budget of false alarms allows."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache

from msgspec.structs import replace

from watchkeeper.detectors.suite import Watch
from watchkeeper.detectors.types import Scalar, Severity

EVIDENCE_SHARE = 0.5  # of the budget that evidence may use up; the rest is for all others
USUAL = 43_200.0  # windows without a false page that the built-in levels are chosen for
EVIDENCE = "shiryaev_roberts"  # what the names of detectors by evidence begin with
_TAILS = frozenset({"ewma", "robust_z", "reference_z"})
_CHANCES = frozenset({"silence"})


def budgeted(watches: Iterable[Watch], windows: float) -> tuple[Watch, ...]:
    """The watches with levels for one false page of a model in so many windows.

    Evidence is compared with twice that number, as it has half of the budget; what is weighed on
    its own has another part, in proportion. Where a level stands for a probability, of a normal
    tail or as such, the probability changes in proportion. Limits that were given, and those of
    what explains only, stay as they are.
    """
    if windows == USUAL:
        return tuple(watches)
    return tuple(_budgeted(each, windows) for each in watches)


def evident(watches: Iterable[Watch], windows: float) -> tuple[Watch, ...]:
    """Watches of a user's own, where evidence goes by the budget unless it is said otherwise."""
    return tuple(
        _with(each, "average_run_length", windows / EVIDENCE_SHARE)
        if each.detector.startswith(EVIDENCE) and "average_run_length" not in each.settings
        else each
        for each in watches
    )


def _budgeted(watch: Watch, windows: float) -> Watch:
    if watch.detector.startswith(EVIDENCE):
        usual = watch.settings.get("average_run_length")
        share = USUAL / usual if isinstance(usual, float | int) else EVIDENCE_SHARE
        return _with(watch, "average_run_length", windows / share)
    if watch.severity is Severity.INFO:
        return watch
    threshold, alpha = watch.settings.get("threshold"), watch.settings.get("alpha", 1e-9)
    if watch.detector in _TAILS and isinstance(threshold, float | int):
        return _with(watch, "threshold", level(float(threshold), windows))
    if watch.detector in _CHANCES and isinstance(alpha, float | int):
        return _with(watch, "alpha", min(0.01, alpha * USUAL / windows))
    return watch


def _with(watch: Watch, name: str, value: Scalar) -> Watch:
    return replace(watch, settings={**watch.settings, name: value})


@lru_cache(maxsize=256)
def level(usual: float, windows: float) -> float:
    """The normal score for one false page in so many windows, where `usual` is that for 43,200: the
    one whose tail is as many times rarer as the budget is smaller."""
    if windows == USUAL:
        return usual
    from scipy.special import log_ndtr, ndtri_exp

    tail = float(log_ndtr(-usual)) + math.log(USUAL / windows)
    return max(2.0, round(-float(ndtri_exp(min(tail, -0.7))), 6))
