"""Which detectors stand watch when the user says nothing: page on harm, explain with drift.

CRITICAL pages: the service or its answers are worse for somebody. WARNING opens an incident: the
inputs or the hosts are broken in a way that will do harm. INFO is evidence for finding the cause.
Only worsening is watched where one direction is harmless.

Levels are chosen for windows of a minute. Most watches ask for two or three windows in a row at
four or more units of noise, and for a change that matters in practice: independent noise passes
that less than once in 1e8 windows, so it is the floors that decide under noise that is not.
"""

from __future__ import annotations

import msgspec

from watchkeeper.detectors.types import Scalar, Severity


class Watch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One detector on the series of one signal.

    `target` is a shell pattern over the series' targets. `settings` are the detector's public
    fields. `severity` is what its findings weigh.
    """

    signal: str
    detector: str
    target: str = "*"
    severity: Severity = Severity.INFO
    settings: dict[str, Scalar] = {}


Settings = dict[str, Scalar]


def _page(signal: str, target: str, detector: str, **settings: Scalar) -> Watch:
    return _watch(Severity.CRITICAL, signal, target, detector, settings)


def _warn(signal: str, target: str, detector: str, **settings: Scalar) -> Watch:
    return _watch(Severity.WARNING, signal, target, detector, settings)


def _note(signal: str, target: str, detector: str, **settings: Scalar) -> Watch:
    return _watch(Severity.INFO, signal, target, detector, settings)


def _watch(severity: Severity, signal: str, target: str, name: str, settings: Settings) -> Watch:
    return Watch(signal=signal, target=target, detector=name, severity=severity, settings=settings)


_MORE: Settings = {"direction": "up", "share": True, "threshold": 4.0, "for_windows": 2}
_SLOWER: Settings = {"direction": "up", "log": True, "threshold": 4.0, "for_windows": 3}
_WORSE: Settings = {"threshold": 5.0, "for_windows": 2}
_BUSIER: Settings = {
    "direction": "up",
    "threshold": 6.0,
    "for_windows": 5,
    "gap": 20,
    "min_n": 1,
}
_EMPTIER: Settings = {"direction": "down", "threshold": 6.0, "for_windows": 5}
_DRIFT: Settings = {"threshold": 6.0, "for_windows": 2}
_SHAPE: Settings = {"alpha": 1e-6, "for_windows": 2, "min_n": 100}

_SERVING = (
    _page("volume", "*", "silence"),
    _page("errors", "*", "robust_z", min_change=0.02, **_MORE),
    _page("errors", "*", "threshold", above=0.2, for_windows=3),
    _page("latency", "p95", "robust_z", min_ratio=0.5, **_SLOWER),
    _page("latency", "p99", "robust_z", min_ratio=0.5, **_SLOWER),
    _page("output", "invalid_rate", "robust_z", min_change=0.01, **_MORE),
    _page("output", "invalid_rate", "threshold", above=0.1, for_windows=3),
    _page("clients", "*", "robust_z", min_change=0.25, **_MORE),
)

_QUALITY = (
    _page("accuracy", "accuracy", "ewma", direction="down", share=True, min_change=0.04, **_WORSE),
    _page("accuracy", "precision", "ewma", direction="down", min_change=0.07, **_WORSE),
    _page("accuracy", "recall", "ewma", direction="down", min_change=0.07, **_WORSE),
    _page("accuracy", "f1", "ewma", direction="down", min_change=0.05, **_WORSE),
    _page("accuracy", "roc_auc", "ewma", direction="down", min_change=0.04, **_WORSE),
    _page("accuracy", "log_loss", "ewma", direction="up", min_ratio=0.2, **_WORSE),
    _page("accuracy", "brier", "ewma", direction="up", min_ratio=0.2, **_WORSE),
    _page("accuracy", "rmse", "ewma", direction="up", min_ratio=0.25, **_WORSE),
    _page("accuracy", "mae", "ewma", direction="up", min_ratio=0.25, **_WORSE),
)

_INPUTS = (
    _warn("features", "*:missing", "reference_z", min_change=0.05, **_MORE),
    _warn("features", "*:unseen", "reference_z", min_change=0.05, **_MORE),
    _warn("features", "*:out_of_range", "reference_z", min_change=0.05, **_MORE),
    _warn("features", "schema:missing_features", "reference_z", min_change=0.01, **_MORE),
    _warn("output", "unseen_class_rate", "reference_z", min_change=0.02, **_MORE),
)

_HOSTS = (
    _warn("metrics", "*", "robust_z", min_ratio=0.3, **_BUSIER),
    _warn("logs", "error_rate", "robust_z", min_change=0.05, **_MORE),
)

_DRIFTS = (
    _note("volume", "*", "robust_z", min_ratio=0.5, log=True, min_n=1, **_DRIFT),
    _note("volume", "*", "seasonal", min_ratio=0.3, min_n=0, **_DRIFT),
    _note("latency", "p50", "robust_z", min_ratio=0.3, **_SLOWER),
    _note("metrics", "*", "robust_z", min_ratio=0.3, min_n=1, **_EMPTIER),
    _note("logs", "volume", "robust_z", direction="up", min_change=20, min_ratio=1, **_DRIFT),
    _note("features", "schema:new_features", "reference_z", min_change=0.05, **_MORE),
    _note("features", "*:mean", "reference_z", min_effect=0.25, **_DRIFT),
    _note("features", "*:histogram", "psi", min_effect=0.1, **_SHAPE),
    _note("output", "positive_rate", "reference_z", share=True, min_change=0.1, **_DRIFT),
    _note("output", "rate:*", "reference_z", share=True, min_change=0.1, **_DRIFT),
    _note("output", "classes", "psi", min_effect=0.1, **_SHAPE),
    _note("output", "score", "psi", min_effect=0.1, **_SHAPE),
    _note("output", "value", "psi", min_effect=0.1, **_SHAPE),
)

DEFAULT_WATCHES: tuple[Watch, ...] = (*_SERVING, *_QUALITY, *_INPUTS, *_HOSTS, *_DRIFTS)
