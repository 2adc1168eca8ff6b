"""Prometheus metrics: bounded labels, one call a batch, one place for names."""

from __future__ import annotations

import math
import platform
import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal, get_args

import numpy as np
import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import choose_encoder

from watchkeeper.daemon.core.state import whole
from watchkeeper.daemon.core.step import Sampled, Step
from watchkeeper.daemon.reporting.before import Before
from watchkeeper.daemon.reporting.by_model import ByModel
from watchkeeper.daemon.reporting.families import FAMILIES
from watchkeeper.daemon.reporting.limits import Limits
from watchkeeper.daemon.reporting.messages import health_of
from watchkeeper.daemon.reporting.metric_names import Name
from watchkeeper.daemon.reporting.sums import Sums
from watchkeeper.daemon.reporting.turns import Turns
from watchkeeper.daemon.transport.ports import Partition
from watchkeeper.detectors.types import Finding, Sample, Series
from watchkeeper.handlers.types import Action, Incident

Stage = Literal["poll", "decode", "step", "keep", "dump", "commit"]

QUALITY = ("accuracy", "precision", "recall", "f1", "roc_auc")
HEALTHS = ("healthy", "degraded", "faulty", "unknown")
_STAGES: tuple[Stage, ...] = get_args(Stage)
_DELAYS = (10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)


class Metrics:
    """A registry of its own. Call once a batch or step, from any thread.

    At most `models` models get series, and at most `targets` (detector, target) pairs a model;
    what is left out is counted. What is shown of a model is there as long as the model is held.
    """

    def __init__(self, version: str, models: int = 200, targets: int = 50) -> None:
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # as delivered
        self.registry = CollectorRegistry()
        self._versions: dict[str, str] = {}
        self._told: dict[tuple[str, str], int] = {}
        self._uncounted = Sums()
        self._counting = threading.Lock()
        self._turns = Turns(_STAGES)
        self.registry.register(self._turns)
        self.registry.register(Before(self._count))
        dropped = self._counter(
            "watchkeeper_series_dropped_total", "Series left out by a limit.", "limit"
        )
        self._limits = Limits(models, targets, dropped)
        self._levels_shown = Limits(models, targets, dropped)
        self._models = ByModel(FAMILIES)
        self.registry.register(self._models)
        self._make_pipeline()
        self._make_reports()
        build = self._gauge(
            "watchkeeper_build_info", "1, labelled by version.", "version", "python"
        )
        build.labels(version, platform.python_version()).set(1)

    def polled(self, counts: Mapping[str, int], lag: Mapping[Partition, int]) -> None:
        """Records read by topic, and records known to wait by partition."""
        self._turns.polled(counts, lag)

    def released(self, partitions: Iterable[Partition]) -> None:
        """Partitions that another instance owns now: their lag is no longer known here."""
        self._turns.released(partitions)

    def reading(self, way: str) -> None:
        """In which way records are read now: `batches` or `records`."""
        for each in ("batches", "records"):
            self._reading.labels(each).set(each == way)

    def refused(self, topic: str, reason: str, n: int = 1) -> None:
        """Records that became dead letters."""
        self._dead.labels(topic, reason).inc(n)
        if reason == "data_gap":
            self._gaps.labels(topic).inc(n)

    def spent(self, stage: Stage, seconds: float) -> None:
        """Time that one stage of one turn took."""
        self._turns.spent(stage, seconds)

    def progress(self, watermark: float, lag_s: Mapping[str, float]) -> None:
        """The oldest watermark, and by topic how old the newest processed event is, in seconds."""
        self._turns.progress(watermark, lag_s)

    def stepped(self, step: Step) -> None:
        """All that one step of the core has to show."""
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
        for previous, incident in step.incident_changes:
            self._changed(previous, incident)
        for action in step.action_changes:
            self._acted(action)

    def live(self, model: str, version: str) -> None:
        """The version that answers now; shares, which answer for nobody, are passed over."""
        if whole(model) != model or not version:
            return
        if self._versions.get(model) == version or not self._limits.admit(model):
            return
        before = self._versions.get(model)
        if before is not None:
            self._models.drop("watchkeeper_model_info", model, before)
            self._models.drop_all("watchkeeper_detector_level", model)
            self._levels_shown.free(model)
        self._versions[model] = version
        self._models.set("watchkeeper_model_info", 1.0, model, version)

    def keep_only(self, models: Collection[str]) -> None:
        """These are held here, whole or a share of them; what is shown of others goes, and leaves
        its place to others. Of a share only events are counted: all else is said where the whole
        is held."""
        held = {model for model in models if whole(model) == model}
        shared = set(map(whole, models)) - held
        with self._counting:
            self._take_counts()
            self._models.keep_only(held, shared)
            self._limits.keep_only(held, shared)
            self._levels_shown.keep_only(held)
            self._versions = {m: v for m, v in self._versions.items() if m in held}

    def open_incident(self, model: str, incident: Incident | None) -> None:
        """Sets a model's health and open incident, for instance after a start."""
        if not self._limits.admit(model):
            return
        health = health_of(incident)
        for each in HEALTHS:
            self._models.set("watchkeeper_model_health", float(each == health), model, each)
        for severity in ("warning", "critical"):
            is_it = incident is not None and incident.open and incident.severity == severity
            self._models.set("watchkeeper_incidents_open", float(is_it), model, severity)

    def told(self, counts: Mapping[tuple[str, str], int], oldest_s: Mapping[str, float]) -> None:
        """The outbox's own totals by channel and outcome, and the age of its oldest message."""
        for key, total in counts.items():
            self._alerts.labels(*key).inc(total - self._told.get(key, 0))
            self._told[key] = total
        for channel, age in oldest_s.items():
            self._oldest.labels(channel).set(age)

    def source_away(self, seconds: float) -> None:
        """How long nothing could be read; 0.0: it can be."""
        self._blind.set(seconds)

    def rebalanced(self) -> None:
        """Partitions came or went once more."""
        self._rebalanced.inc()

    def database_away(self, seconds: float) -> None:
        """How long the database has been away; 0.0: it is there."""
        self._away.set(seconds)

    def held(self, n: int) -> None:
        """Actions of all instances that wait for a person, by the record."""
        self._held.set(n)

    def _count(self) -> None:
        """Adds up what was counted since the page was last read: a counter a model and turn would
        cost as much as all the rest."""
        with self._counting:
            self._take_counts()

    def _take_counts(self) -> None:
        """What happened to shares is counted under their models."""
        for name, counts in self._uncounted.take().items():
            model = whole(name)
            if self._limits.admit(model):
                add = self._models.add
                add("watchkeeper_model_predictions_total", counts.predictions, model)
                add("watchkeeper_late_events_total", counts.late, model)
                add("watchkeeper_labels_joined_total", counts.joined, model)
                add("watchkeeper_labels_unmatched_total", counts.unmatched, model)

    def exposition(self, accept: str = "") -> tuple[bytes, str]:
        """The page Prometheus reads, and its content type."""
        encoder, content_type = choose_encoder(accept)
        return encoder(self.registry), content_type

    def _weighed(self, model: str, logarithm: float, level: float, uncalibrated: int) -> None:
        if self._limits.admit(model):
            self._models.set("watchkeeper_model_evidence", max(0.0, logarithm), model)
            self._models.set("watchkeeper_model_evidence_threshold", level, model)
            self._models.set("watchkeeper_model_evidence_not_calibrated", uncalibrated, model)

    def _estimated(self, model: str, estimates: Mapping[str, tuple[float, float]]) -> None:
        if self._limits.admit(model):
            for metric, (value, trust) in estimates.items():
                self._models.set("watchkeeper_model_estimate", value, model, metric)
                self._models.set("watchkeeper_model_estimate_trust_ratio", trust, model, metric)

    def _levelled(self, levels: Mapping[tuple[Series, str], float]) -> None:
        """Bounded apart from findings, whose places these must not take: they come all the time."""
        for (series, detector), level in levels.items():
            model, target = series.model, _target(series)
            if not self._limits.admit(model):
                continue
            if self._versions.get(model, series.version) != series.version:
                continue  # it was live when that was said
            if self._levels_shown.admit_target(model, detector, target):
                self._models.set("watchkeeper_detector_level", level, model, detector, target)

    def _let_go(self, gone: Iterable[tuple[Series, str]]) -> None:
        """Nothing more will be said of these series by these detectors."""
        for series, detector in gone:
            labels = series.model, detector, _target(series)
            self._models.drop("watchkeeper_detector_level", *labels)
            self._models.drop("watchkeeper_detector_statistic", *labels)
            self._models.drop("watchkeeper_detector_threshold", *labels)
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
        self._models.set("watchkeeper_model_quality_ratio", value, model, metric)

    def _found(self, findings: Sequence[Finding]) -> None:
        for each in findings:
            model, series = each.series.model, each.series
            if not self._limits.admit(model):
                continue
            self._models.add("watchkeeper_findings_total", 1.0, model, each.severity.value)
            target = _target(series)
            if math.isnan(each.statistic):  # nothing was measured
                continue
            if self._limits.admit_target(model, each.detector, target):
                labels = model, each.detector, target
                self._models.set("watchkeeper_detector_statistic", each.statistic, *labels)
                self._models.set("watchkeeper_detector_threshold", each.threshold, *labels)

    def _changed(self, previous: Incident | None, incident: Incident) -> None:
        self.open_incident(incident.model, incident)
        if previous is None:
            if self._limits.admit(incident.model):
                self._models.add("watchkeeper_incidents_total", 1.0, incident.model)
            self._delay.observe(max(0.0, incident.opened_at - incident.since))

    def _acted(self, action: Action) -> None:
        self._actions.labels(action.kind, action.state.value).inc()

    def _make_pipeline(self) -> None:
        count, gauge = self._counter, self._gauge
        self._dead = count("watchkeeper_dead_letters_total", "Records put away.", "topic", "reason")
        self._gaps = count(
            "watchkeeper_data_gaps_total", "Places where records were gone, unread.", "topic"
        )
        self._reading = gauge(
            "watchkeeper_reading_info", "1 for the way in which records are read.", "way"
        )

    def _make_reports(self) -> None:
        count, gauge = self._counter, self._gauge
        self._delay = self._histogram(
            "watchkeeper_incident_detection_delay_seconds",
            "From a fault's first sign to its incident, in event time.",
            _DELAYS,
        )
        self._actions = count(
            "watchkeeper_actions_total", "Transitions of actions.", "action", "state"
        )
        self._held = gauge(
            "watchkeeper_actions_awaiting_approval", "Actions that wait for a person."
        )
        self._alerts = count("watchkeeper_alerts_total", "Messages told.", "sink", "outcome")
        self._oldest = gauge(
            "watchkeeper_alert_outbox_oldest_age_seconds",
            "Age of the oldest message that could not be told yet.",
            "sink",
        )

        self._away = gauge(
            "watchkeeper_database_away_seconds", "How long the database has been away."
        )
        self._blind = gauge("watchkeeper_source_away_seconds", "How long nothing could be read.")
        self._rebalanced = self._counter(
            "watchkeeper_rebalances_total", "How often partitions came or went."
        )

    def _counter(self, name: Name, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _gauge(self, name: Name, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)

    def _histogram(
        self, name: Name, text: str, buckets: Sequence[float], *labels: str
    ) -> Histogram:
        return Histogram(name, text, labels, buckets=buckets, registry=self.registry)


def _target(series: Series) -> str:
    """What a detector judges of a model, as a label."""
    return f"{series.signal}[{series.target}]" if series.target else series.signal
