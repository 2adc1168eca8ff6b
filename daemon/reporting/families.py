"""The metrics that each model has."""

from __future__ import annotations

from typing import NamedTuple

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily

from watchkeeper.daemon.reporting.metric_names import Name

Empty = CounterMetricFamily | GaugeMetricFamily


class Family(NamedTuple):
    """One metric of models, and its labels but for `model`, which is the first of all."""

    name: Name
    text: str
    labels: tuple[str, ...] = ()
    of_shares: bool = False  # what happens to a model's shares counts in it

    @property
    def common(self) -> bool:
        """Whether the values of its labels are the same few of all models."""
        return not {"version", "target"} & set(self.labels)

    def empty(self) -> Empty:
        """The metric without any numbers."""
        kind = CounterMetricFamily if self.name.endswith("_total") else GaugeMetricFamily
        return kind(self.name, self.text, labels=["model", *self.labels])


_SERIES = ("detector", "target")
FAMILIES = (
    Family("watchkeeper_model_predictions_total", "Predictions measured.", of_shares=True),
    Family("watchkeeper_late_events_total", "Events whose window had closed.", of_shares=True),
    Family(
        "watchkeeper_labels_joined_total",
        "Labels joined with their prediction.",
        of_shares=True,
    ),
    Family(
        "watchkeeper_labels_unmatched_total",
        "Labels without a known prediction.",
        of_shares=True,
    ),
    Family("watchkeeper_model_info", "1 for the live version.", ("version",)),
    Family("watchkeeper_model_health", "1 for the state the model is in.", ("health",)),
    Family("watchkeeper_model_evidence", "ln of the evidence of harm, from 0."),
    Family("watchkeeper_model_evidence_threshold", "ln of the evidence worth a page."),
    Family(
        "watchkeeper_model_evidence_not_calibrated",
        "Series of which alarms may be more frequent than asked for.",
    ),
    Family(
        "watchkeeper_model_estimate",
        "Quality that is expected before labels come; NaN where it is not to be trusted.",
        ("metric",),
    ),
    Family(
        "watchkeeper_model_estimate_trust_ratio",
        "Share of late estimates that labels bore out.",
        ("metric",),
    ),
    Family(
        "watchkeeper_model_quality_ratio",
        "Quality of the newest closed window, 0 to 1.",
        ("metric",),
    ),
    Family("watchkeeper_detector_statistic", "Statistic of the newest finding.", _SERIES),
    Family("watchkeeper_detector_threshold", "Threshold of the newest finding.", _SERIES),
    Family("watchkeeper_detector_level", "How odd a series is, smoothed; 0: as usual.", _SERIES),
    Family("watchkeeper_findings_total", "Findings.", ("severity",)),
    Family("watchkeeper_incidents_open", "Open incidents.", ("severity",)),
    Family("watchkeeper_incidents_total", "Incidents opened."),
)
