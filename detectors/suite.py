"""Which detectors stand watch when the user says nothing: page on harm, explain with drift.

CRITICAL pages: the service or its answers are worse for somebody. WARNING opens an incident: the
inputs or the hosts are broken in a way that will do harm, or somebody seems to attack. INFO is
evidence for finding the cause. Only worsening is watched where one direction is harmless.

Levels are chosen for windows of a minute with a hundred events or more, for less than one false
page of a model in thirty days. Either a smoothed value must be five units of noise away, or two
windows in a row four; and always by a change that matters in practice, because it is that floor
which holds where noise is not as independent as statistics would have it.
"""

from __future__ import annotations

import hashlib

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

    @property
    def digest(self) -> str:
        """The same for the same detector with the same settings on the same series."""
        what = (self.signal, self.target, self.detector, sorted(self.settings.items()))
        return hashlib.blake2b(msgspec.msgpack.encode(what), digest_size=12).hexdigest()


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
_RISING: Settings = {"direction": "up", "share": True, "threshold": 6.0}
_PECULIAR: Settings = {"direction": "up", "threshold": 6.0}
_SLOWER: Settings = {"direction": "up", "log": True, "threshold": 5.0}
_LOWER: Settings = {"direction": "down", "threshold": 5.0, "weight": 0.25}
_HIGHER: Settings = {"direction": "up", "threshold": 5.0, "weight": 0.25}
_BUSIER: Settings = {
    "direction": "up",
    "threshold": 6.0,
    "for_windows": 5,
    "min_n": 1,
}
_EMPTIER: Settings = {"direction": "down", "threshold": 6.0, "for_windows": 5}
_TOGETHER: Settings = {"average_run_length": 86_400.0}
_TOGETHER_UP: Settings = {"direction": "up", **_TOGETHER}
_TOGETHER_DOWN: Settings = {**_TOGETHER_UP, "direction": "down"}
_ALONE: Settings = {"direction": "up", "average_run_length": 864_000.0}  # a twentieth of a budget
_DRIFT: Settings = {"threshold": 6.0, "for_windows": 2}
_SHAPE: Settings = {"alpha": 1e-6, "for_windows": 2, "min_n": 100}

_RATE = "shiryaev_roberts_rate"

_SERVING = (
    _page("volume", "*", "silence"),
    _page("errors", "*", "ewma", min_change=0.02, **_RISING),
    _page("errors", "*", "threshold", above=0.2, for_windows=3),
    _page("errors", "error_rate", "shiryaev_roberts_rate", min_change=0.02, **_TOGETHER_UP),
    _page("latency", "p95", "ewma", min_ratio=0.5, **_SLOWER),
    _page("latency", "p99", "ewma", min_ratio=0.5, **_SLOWER),
    _page("output", "invalid_rate", "ewma", min_change=0.01, **_RISING),
    _page("output", "invalid_rate", "threshold", above=0.1, for_windows=3),
    _page("output", "invalid_rate", "shiryaev_roberts_rate", min_change=0.01, **_TOGETHER_UP),
    _page("clients", "", "ewma", min_change=0.25, **_RISING),
)

_ATTACKS = (
    _warn("clients", "boundary", "ewma", min_change=0.25, **_PECULIAR),
    _warn("clients", "answers", "ewma", min_change=0.5, **_PECULIAR),
    _note("clients", "success", "ewma", min_change=0.15, min_n=30, **_PECULIAR),
    _warn("clients", "repeats", "ewma", min_change=0.15, for_windows=2, **_PECULIAR),
)

_QUALITY = (
    _page("accuracy", "accuracy", "ewma", share=True, min_change=0.04, **_LOWER),
    _page("accuracy", "accuracy", "shiryaev_roberts_rate", min_change=0.03, **_TOGETHER_DOWN),
    _page("accuracy", "precision", "ewma", min_change=0.07, **_LOWER),
    _page("accuracy", "recall", "ewma", min_change=0.07, **_LOWER),
    _page("accuracy", "f1", "ewma", min_change=0.05, **_LOWER),
    _page("accuracy", "roc_auc", "ewma", min_change=0.04, **_LOWER),
    _page("accuracy", "log_loss", "ewma", min_ratio=0.2, **_HIGHER),
    _page("accuracy", "brier", "ewma", min_ratio=0.2, **_HIGHER),
    _page("accuracy", "rmse", "ewma", min_ratio=0.25, **_HIGHER),
    _page("accuracy", "mae", "ewma", min_ratio=0.25, **_HIGHER),
)

_ESTIMATES = (
    _page("estimate", "accuracy", "ewma", min_change=0.04, **_LOWER),
    _page("estimate", "mae", "ewma", min_ratio=0.25, **_HIGHER),
    _page("stretch", "*", "outside", direction="down", min_change=0.01),
    _note("stretch", "*", "outside", direction="up", min_change=0.01),
    _note("estimate_gap", "accuracy", "reference_z", min_change=0.03, threshold=3.0, for_windows=3),
    _note("estimate_gap", "mae", "reference_z", threshold=4.0, for_windows=3),
)

_LABELS = (
    _warn("labels", "source:*", "ewma", min_change=0.1, min_n=10, **_PECULIAR),
    _note("labels", "source:*", "reference_z", min_change=0.2, min_n=10, **_PECULIAR),
    _note("labels", "rest", "ewma", share=True, min_change=0.04, **_LOWER),
    _note("labels", "rest_error", "ewma", min_ratio=0.25, **_HIGHER),
    _note("labels", "positive_rate", "ewma", share=True, min_change=0.1, weight=0.25),
)

_INPUTS = (
    _warn("features", "*:missing", "reference_z", min_change=0.05, **_MORE),
    _warn("features", "*:unseen", "reference_z", min_change=0.05, **_MORE),
    _warn("features", "*:out_of_range", "reference_z", min_change=0.05, **_MORE),
    _warn("features", "schema:missing_features", "reference_z", min_change=0.01, **_MORE),
    _warn("duplicates", "requests", _RATE, against="reference", for_windows=2, **_ALONE),
    _warn("duplicates", "inputs", "ewma", share=True, min_change=0.1, **_PECULIAR),
    _warn("output", "unseen_class_rate", "reference_z", min_change=0.02, **_MORE),
)

_HOSTS = (
    _warn("metrics", "*", "robust_z", min_ratio=0.3, **_BUSIER),
    _warn("logs", "error_rate", "ewma", min_change=0.05, **_RISING),
)

_DRIFTS = (
    _note("volume", "*", "robust_z", min_ratio=0.5, log=True, min_n=1, **_DRIFT),
    _note("volume", "*", "seasonal", min_ratio=0.3, min_n=0, **_DRIFT),
    _note("latency", "p50", "ewma", min_ratio=0.3, **_SLOWER),
    _note("metrics", "*", "robust_z", min_ratio=0.3, min_n=1, **_EMPTIER),
    _note("logs", "volume", "robust_z", direction="up", min_change=20, min_ratio=1, **_DRIFT),
    _note("features", "schema:new_features", "reference_z", min_change=0.05, **_MORE),
    _note("features", "schema:other_types", "reference_z", min_change=0.05, **_MORE),
    _note("features", "*:mean", "reference_z", min_effect=0.25, **_DRIFT),
    _note("features", "*:histogram", "psi", min_effect=0.1, **_SHAPE),
    _note("joint", "residual", "shiryaev_roberts_counts", min_effect=0.02, **_TOGETHER),
    _note("joint", "pairs", "shiryaev_roberts", min_change=2.0, **_TOGETHER_UP),
    _note("output", "positive_rate", "reference_z", share=True, min_change=0.1, **_DRIFT),
    _note("output", "rate:*", "reference_z", share=True, min_change=0.1, **_DRIFT),
    _note("output", "classes", "psi", min_effect=0.1, **_SHAPE),
    _note("output", "score", "psi", min_effect=0.1, **_SHAPE),
    _note("output", "value", "psi", min_effect=0.1, **_SHAPE),
)

DEFAULT_WATCHES: tuple[Watch, ...] = (
    *_SERVING,
    *_ATTACKS,
    *_QUALITY,
    *_ESTIMATES,
    *_LABELS,
    *_INPUTS,
    *_HOSTS,
    *_DRIFTS,
)
