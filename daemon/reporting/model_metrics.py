"""What is shown of models: at most of so many, and of each as long as it is held."""

from __future__ import annotations

import math
import threading
from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np
from prometheus_client import Counter

from watchkeeper.daemon.core.state import whole
from watchkeeper.daemon.core.step import Sampled, Step
from watchkeeper.daemon.reporting.by_model import ByModel
from watchkeeper.daemon.reporting.families import FAMILIES
from watchkeeper.daemon.reporting.limits import Limits
from watchkeeper.daemon.reporting.messages import health_of
from watchkeeper.daemon.reporting.sums import Sums
from watchkeeper.detectors.types import Finding, Sample, Series
from watchkeeper.handlers.types import Incident

QUALITY = ("accuracy", "precision", "recall", "f1", "roc_auc")
HEALTHS = ("healthy", "degraded", "faulty", "unknown")


class ModelMetrics:
    """Keeps what is shown of models in `numbers`, within limits; `dropped` counts what is left out.

    What steps count is added up until `count` is called. From any thread.
    """

    def __init__(self, models: int, targets: int, dropped: Counter) -> None:
        self.numbers = ByModel(FAMILIES)
        self._versions: dict[str, str] = {}
        self._uncounted = Sums()
        self._counting = threading.Lock()
        self._limits = Limits(models, targets, dropped)
        self._levels_shown = Limits(models, targets, dropped)

    def stepped(self, step: Step) -> None:
        """What one step of the core has to show of models, but for changes of incidents."""
        self._uncounted.add(step.counts)
        self._sampled(step.samples)
        for sampled in step.sampled:
            self._judged(sampled)
        for model, weighed in step.evidence.items():
            self._weighed(model, *weighed)
        for model, estimates in step.estimates.items():
            self._estimated(model, estimates)
        self._found(step.findings)
        self._let_go(step.gone)
        self._levelled(step.levels)

    def opened(self, model: str) -> None:
        """An incident of the model was opened."""
        if self._limits.admit(model):
            self.numbers.add("watchkeeper_incidents_total", 1.0, model)

    def live(self, model: str, version: str) -> None:
        """The version that answers now; shares, which answer for nobody, are passed over."""
        if whole(model) != model or not version:
            return
        if self._versions.get(model) == version or not self._limits.admit(model):
            return
        before = self._versions.get(model)
        if before is not None:
            self.numbers.drop("watchkeeper_model_info", model, before)
            self.numbers.drop_all("watchkeeper_detector_level", model)
            self._levels_shown.free(model)
        self._versions[model] = version
        self.numbers.set("watchkeeper_model_info", 1.0, model, version)

    def keep_only(self, models: Collection[str]) -> None:
        """These are held here, whole or a share of them; what is shown of others goes, and leaves
        its place to others. Of a share only events are counted: all else is said where the whole
        is held."""
        held = {model for model in models if whole(model) == model}
        shared = set(map(whole, models)) - held
        with self._counting:
            self._take_counts()
            self.numbers.keep_only(held, shared)
            self._limits.keep_only(held, shared)
            self._levels_shown.keep_only(held)
            self._versions = {m: v for m, v in self._versions.items() if m in held}

    def open_incident(self, model: str, incident: Incident | None) -> None:
        """Sets a model's health and open incident, for instance after a start."""
        if not self._limits.admit(model):
            return
        health = health_of(incident)
        for each in HEALTHS:
            self.numbers.set("watchkeeper_model_health", float(each == health), model, each)
        for severity in ("warning", "critical"):
            is_it = incident is not None and incident.open and incident.severity == severity
            self.numbers.set("watchkeeper_incidents_open", float(is_it), model, severity)

    def count(self) -> None:
        """Adds up what was counted since the page was last read: a counter a model and turn would
        cost as much as all the rest."""
        with self._counting:
            self._take_counts()

    def _take_counts(self) -> None:
        """What happened to shares is counted under their models."""
        for name, counts in self._uncounted.take().items():
            model = whole(name)
            if self._limits.admit(model):
                add = self.numbers.add
                add("watchkeeper_model_predictions_total", counts.predictions, model)
                add("watchkeeper_late_events_total", counts.late, model)
                add("watchkeeper_labels_joined_total", counts.joined, model)
                add("watchkeeper_labels_unmatched_total", counts.unmatched, model)

    def _weighed(self, model: str, logarithm: float, level: float, uncalibrated: int) -> None:
        if self._limits.admit(model):
            self.numbers.set("watchkeeper_model_evidence", max(0.0, logarithm), model)
            self.numbers.set("watchkeeper_model_evidence_threshold", level, model)
            self.numbers.set("watchkeeper_model_evidence_not_calibrated", uncalibrated, model)

    def _estimated(self, model: str, estimates: Mapping[str, tuple[float, float]]) -> None:
        if self._limits.admit(model):
            for metric, (value, trust) in estimates.items():
                self.numbers.set("watchkeeper_model_estimate", value, model, metric)
                self.numbers.set("watchkeeper_model_estimate_trust_ratio", trust, model, metric)

    def _levelled(self, levels: Mapping[tuple[Series, str], float]) -> None:
        """Bounded apart from findings, whose places these must not take: they come all the time."""
        for (series, detector), level in levels.items():
            model, target = series.model, _target(series)
            if not self._limits.admit(model):
                continue
            if self._versions.get(model, series.version) != series.version:
                continue  # it was live when that was said
            if self._levels_shown.admit_target(model, detector, target):
                self.numbers.set("watchkeeper_detector_level", level, model, detector, target)

    def _let_go(self, gone: Iterable[tuple[Series, str]]) -> None:
        """Nothing more will be said of these series by these detectors."""
        for series, detector in gone:
            labels = series.model, detector, _target(series)
            self.numbers.drop("watchkeeper_detector_level", *labels)
            self.numbers.drop("watchkeeper_detector_statistic", *labels)
            self.numbers.drop("watchkeeper_detector_threshold", *labels)
            self._levels_shown.free_target(*labels)
            self._limits.free_target(*labels)

    def _sampled(self, samples: Iterable[Sample]) -> None:
        for each in samples:
            series = each.series
            known = series.signal == "accuracy" and series.target in QUALITY
            if known and self._limits.admit(series.model):
                self._rate(series.model, series.target, each.value)

    def _judged(self, sampled: Sampled) -> None:
        """The same of samples in columns: an object each would be made of models never shown."""
        for each in sampled.of("accuracy"):
            shown = np.array([target in QUALITY for target in each.targets], dtype=np.bool_)
            for row, column in np.argwhere(each.given & shown).tolist():
                model = sampled.members[row].model
                if self._limits.admit(model):
                    self._rate(model, each.targets[column], float(each.value[row, column]))

    def _rate(self, model: str, metric: str, value: float) -> None:
        self.numbers.set("watchkeeper_model_quality_ratio", value, model, metric)

    def _found(self, findings: Sequence[Finding]) -> None:
        for each in findings:
            model, series = each.series.model, each.series
            if not self._limits.admit(model):
                continue
            self.numbers.add("watchkeeper_findings_total", 1.0, model, each.severity.value)
            target = _target(series)
            if math.isnan(each.statistic):  # nothing was measured
                continue
            if self._limits.admit_target(model, each.detector, target):
                labels = model, each.detector, target
                self.numbers.set("watchkeeper_detector_statistic", each.statistic, *labels)
                self.numbers.set("watchkeeper_detector_threshold", each.threshold, *labels)


def _target(series: Series) -> str:
    """What a detector judges of a model, as a label."""
    return f"{series.signal}[{series.target}]" if series.target else series.signal
