"""Prometheus metrics: bounded labels, one call a batch, one place for names."""

from __future__ import annotations

import platform
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal, get_args

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import choose_encoder

from watchkeeper.daemon.core.step import Step
from watchkeeper.daemon.reporting.before import Before
from watchkeeper.daemon.reporting.metric_names import Name
from watchkeeper.daemon.reporting.model_metrics import ModelMetrics
from watchkeeper.daemon.reporting.turns import Turns
from watchkeeper.daemon.transport.ports import Partition
from watchkeeper.handlers.types import Action, Incident

Stage = Literal["poll", "decode", "step", "keep", "dump", "commit"]

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
        self._told: dict[tuple[str, str], int] = {}
        self._turns = Turns(_STAGES)
        self.registry.register(self._turns)
        self.registry.register(Before(lambda: self._models.count()))
        dropped = self._counter(
            "watchkeeper_series_dropped_total", "Series left out by a limit.", "limit"
        )
        self._models = ModelMetrics(models, targets, dropped)
        self.registry.register(self._models.numbers)
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

    def joins_short(self, models: int) -> None:
        """So many models want more room for label joins than there is."""
        self._short.set(models)

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
        self._models.stepped(step)
        for previous, incident in step.incident_changes:
            self._changed(previous, incident)
        for action in step.action_changes:
            self._acted(action)

    def live(self, model: str, version: str) -> None:
        """The version that answers now; shares, which answer for nobody, are passed over."""
        self._models.live(model, version)

    def keep_only(self, models: Collection[str]) -> None:
        """These are held here, whole or a share of them; what is shown of others goes."""
        self._models.keep_only(models)

    def open_incident(self, model: str, incident: Incident | None) -> None:
        """Sets a model's health and open incident, for instance after a start."""
        self._models.open_incident(model, incident)

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

    def exposition(self, accept: str = "") -> tuple[bytes, str]:
        """The page Prometheus reads, and its content type."""
        encoder, content_type = choose_encoder(accept)
        return encoder(self.registry), content_type

    def _changed(self, previous: Incident | None, incident: Incident) -> None:
        self._models.open_incident(incident.model, incident)
        if previous is None:
            self._models.opened(incident.model)
            self._delay.observe(max(0.0, incident.opened_at - incident.since))

    def _acted(self, action: Action) -> None:
        self._actions.labels(action.kind, action.state.value).inc()

    def _make_pipeline(self) -> None:
        count, gauge = self._counter, self._gauge
        self._dead = count("watchkeeper_dead_letters_total", "Records put away.", "topic", "reason")
        self._gaps = count(
            "watchkeeper_data_gaps_total", "Places where records were gone, unread.", "topic"
        )
        self._short = gauge(
            "watchkeeper_label_joins_short_models",
            "Models that want more room for label joins than there is.",
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
