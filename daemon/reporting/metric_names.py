"""Every metric that this program has."""

from __future__ import annotations

from typing import Literal

Name = Literal[
    # Counter: records read, by topic
    "watchkeeper_events_total",
    # Gauge: how far behind the newest processed event is, by topic
    "watchkeeper_event_lag_seconds",
    # Gauge: records known to wait, by topic and partition
    "watchkeeper_consumer_lag_records",
    # Gauge: 1 for the way in which records are read, by way: whole batches, or single records
    "watchkeeper_reading_info",
    # Histogram: time spent in a stage of the loop
    "watchkeeper_stage_duration_seconds",
    # Gauge: the oldest watermark of the models that are owned
    "watchkeeper_watermark_timestamp_seconds",
    # Counter: places where records were gone before they were read, by topic
    "watchkeeper_data_gaps_total",
    # Counter: records refused and put away, by topic and reason; a range nobody reads counts once
    "watchkeeper_dead_letters_total",
    # Counter: events whose window had closed, by model
    "watchkeeper_late_events_total",
    # Counter: labels joined with their prediction, by model
    "watchkeeper_labels_joined_total",
    # Counter: labels without a known prediction, by model
    "watchkeeper_labels_unmatched_total",
    # Counter: predictions measured, by model
    "watchkeeper_model_predictions_total",
    # Gauge: 1 for the version that is live, by model and version
    "watchkeeper_model_info",
    # Gauge: 1 for the state a model is in, by model and health
    "watchkeeper_model_health",
    # Gauge: ln of the evidence of harm, by model
    "watchkeeper_model_evidence",
    # Gauge: ln of the evidence that is worth a page, by model
    "watchkeeper_model_evidence_threshold",
    # Gauge: series of which alarms may be more frequent than asked for, by model
    "watchkeeper_model_evidence_not_calibrated",
    # Gauge: newest window's quality between 0 and 1, by model and metric
    "watchkeeper_model_quality_ratio",
    # Gauge: quality expected before labels come, NaN if not to be trusted, by model and metric
    "watchkeeper_model_estimate",
    # Gauge: share of late estimates that labels bore out, by model and metric
    "watchkeeper_model_estimate_trust_ratio",
    # Gauge: statistic of the newest finding, by model, detector and target
    "watchkeeper_detector_statistic",
    # Gauge: the threshold it passed, by model, detector and target
    "watchkeeper_detector_threshold",
    # Gauge: how odd a series of the live version is, smoothed, by model, detector and target
    "watchkeeper_detector_level",
    # Counter: findings, by model and severity
    "watchkeeper_findings_total",
    # Gauge: open incidents, by model and severity
    "watchkeeper_incidents_open",
    # Counter: incidents opened, by model
    "watchkeeper_incidents_total",
    # Histogram: from a fault's first sign to its incident, in event time
    "watchkeeper_incident_detection_delay_seconds",
    # Counter: transitions of actions, by kind of action and state
    "watchkeeper_actions_total",
    # Gauge: actions that wait for a person
    "watchkeeper_actions_awaiting_approval",
    # Counter: messages told, by channel and outcome
    "watchkeeper_alerts_total",
    # Gauge: age of the oldest message that could not be told yet, by channel
    "watchkeeper_alert_outbox_oldest_age_seconds",
    # Gauge: how long the database has been away; 0 while it is there
    "watchkeeper_database_away_seconds",
    # Gauge: how long nothing could be read from Kafka; 0 while it can be
    "watchkeeper_source_away_seconds",
    # Gauge: models that want more room for label joins than `daemon.join_memory_mb` leaves them
    "watchkeeper_label_joins_short_models",
    # Counter: how often partitions came to this instance or went
    "watchkeeper_rebalances_total",
    # Counter: series left out because a label had too many values, by metric
    "watchkeeper_series_dropped_total",
    # Gauge: 1, with version and Python
    "watchkeeper_build_info",
]
