"""Prometheus metrics: bounded labels, one call a batch, one place for names."""

from __future__ import annotations

import math
import platform
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, get_args

import numpy as np
import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import choose_encoder

from watchkeeper.daemon.core.state import whole
from watchkeeper.daemon.core.step import Sampled, Step
from watchkeeper.daemon.reporting.before import Before
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
    what is left out is counted.
    """

    def __init__(self, version: str, models: int = 200, targets: int = 50) -> None:
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # as delivered
        self.registry = CollectorRegistry()
        self._versions: dict[str, str] = {}
        self._told: dict[tuple[str, str], int] = {}
        self._uncounted = Sums()
        self._turns = Turns(_STAGES)
        self.registry.register(self._turns)
        self.registry.register(Before(self._count))
        dropped = self._counter(
            "watchkeeper_series_dropped_total", "Series left out by a limit.", "limit"
        )
        self._limits = Limits(models, targets, dropped)
        self._levels_shown = Limits(models, targets, dropped)
        self._make_pipeline()
        self._make_models()
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
        self._levelled(step.levels)
        self._found(step.findings)
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
        if model in self._versions:
            self._info.remove(model, self._versions[model])
        self._versions[model] = version
        self._info.labels(model, version).set(1)

    def open_incident(self, model: str, incident: Incident | None) -> None:
        """Sets a model's health and open incident, for instance after a start."""
        if not self._limits.admit(model):
            return
        health = health_of(incident)
        for each in HEALTHS:
            self._health.labels(model, each).set(each == health)
        for severity in ("warning", "critical"):
            is_it = incident is not None and incident.open and incident.severity == severity
            self._open.labels(model, severity).set(is_it)

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
        cost as much as all the rest. What happened to shares is counted under their models."""
        for name, counts in self._uncounted.take().items():
            model = whole(name)
            if self._limits.admit(model):
                self._predictions.labels(model).inc(counts.predictions)
                self._late.labels(model).inc(counts.late)
                self._joined.labels(model).inc(counts.joined)
                self._unmatched.labels(model).inc(counts.unmatched)

    def exposition(self, accept: str = "") -> tuple[bytes, str]:
        """The page Prometheus reads, and its content type."""
        encoder, content_type = choose_encoder(accept)
        return encoder(self.registry), content_type

    def _weighed(self, model: str, logarithm: float, level: float, uncalibrated: int) -> None:
        if self._limits.admit(model):
            self._evidence.labels(model).set(max(0.0, logarithm))
            self._worth.labels(model).set(level)
            self._doubtful.labels(model).set(uncalibrated)

    def _estimated(self, model: str, estimates: Mapping[str, tuple[float, float]]) -> None:
        if self._limits.admit(model):
            for metric, (value, trust) in estimates.items():
                self._expected.labels(model, metric).set(value)
                self._trust.labels(model, metric).set(trust)

    def _levelled(self, levels: Mapping[tuple[Series, str], float]) -> None:
        """Bounded apart from findings, whose places these must not take: they come all the time."""
        for (series, detector), level in levels.items():
            model, target = series.model, _target(series)
            if not self._limits.admit(model):
                continue
            if self._levels_shown.admit_target(model, detector, target):
                self._level.labels(model, detector, target).set(level)

    def _sampled(self, samples: Iterable[Sample]) -> None:
        for each in samples:
            series = each.series
            known = series.signal == "accuracy" and series.target in QUALITY
            if known and self._limits.admit(series.model):
                self._quality.labels(series.model, series.target).set(each.value)

    def _judged(self, sampled: Sampled) -> None:
        """The same of samples in columns: an object each would be made of models never shown."""
        for each in sampled.of("accuracy"):
            shown = np.array([target in QUALITY for target in each.targets], dtype=np.bool_)
            for row, column in np.argwhere(each.given & shown).tolist():
                model = sampled.members[row].model
                if self._limits.admit(model):
                    value = float(each.value[row, column])
                    self._quality.labels(model, each.targets[column]).set(value)

    def _found(self, findings: Sequence[Finding]) -> None:
        for each in findings:
            model, series = each.series.model, each.series
            if not self._limits.admit(model):
                continue
            self._findings.labels(model, each.severity.value).inc()
            target = _target(series)
            if math.isnan(each.statistic):  # nothing was measured
                continue
            if self._limits.admit_target(model, each.detector, target):
                self._statistic.labels(model, each.detector, target).set(each.statistic)
                self._threshold.labels(model, each.detector, target).set(each.threshold)

    def _changed(self, previous: Incident | None, incident: Incident) -> None:
        self.open_incident(incident.model, incident)
        if previous is None:
            if self._limits.admit(incident.model):
                self._incidents.labels(incident.model).inc()
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

    def _make_models(self) -> None:
        count, gauge = self._counter, self._gauge
        self._predictions = count(
            "watchkeeper_model_predictions_total", "Predictions measured.", "model"
        )
        self._late = count(
            "watchkeeper_late_events_total", "Events whose window had closed.", "model"
        )
        self._joined = count(
            "watchkeeper_labels_joined_total", "Labels joined with their prediction.", "model"
        )
        self._unmatched = count(
            "watchkeeper_labels_unmatched_total", "Labels without a known prediction.", "model"
        )
        self._info = gauge("watchkeeper_model_info", "1 for the live version.", "model", "version")
        self._health = gauge(
            "watchkeeper_model_health", "1 for the state the model is in.", "model", "health"
        )
        self._evidence = gauge(
            "watchkeeper_model_evidence", "ln of the evidence of harm, from 0.", "model"
        )
        self._worth = gauge(
            "watchkeeper_model_evidence_threshold", "ln of the evidence worth a page.", "model"
        )
        self._doubtful = gauge(
            "watchkeeper_model_evidence_not_calibrated",
            "Series of which alarms may be more frequent than asked for.",
            "model",
        )
        self._expected = gauge(
            "watchkeeper_model_estimate",
            "Quality that is expected before labels come; NaN where it is not to be trusted.",
            *("model", "metric"),
        )
        self._trust = gauge(
            "watchkeeper_model_estimate_trust_ratio",
            "Share of late estimates that labels bore out.",
            *("model", "metric"),
        )
        self._quality = gauge(
            "watchkeeper_model_quality_ratio",
            "Quality of the newest closed window, 0 to 1.",
            *("model", "metric"),
        )
        finding = ("model", "detector", "target")
        self._statistic = gauge(
            "watchkeeper_detector_statistic", "Statistic of the newest finding.", *finding
        )
        self._threshold = gauge(
            "watchkeeper_detector_threshold", "Threshold of the newest finding.", *finding
        )
        self._level = gauge(
            "watchkeeper_detector_level", "How odd a series is, smoothed; 0: as usual.", *finding
        )
        self._findings = count("watchkeeper_findings_total", "Findings.", "model", "severity")

    def _make_reports(self) -> None:
        count, gauge = self._counter, self._gauge
        self._open = gauge("watchkeeper_incidents_open", "Open incidents.", "model", "severity")
        self._incidents = count("watchkeeper_incidents_total", "Incidents opened.", "model")
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
