"""Metrics follow Prometheus's rules, and no label can grow without bound."""

from __future__ import annotations

import re
import subprocess
from typing import Any, get_args

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import unavailable
from tests.daemon.storage.examples import T0, action, finding, incident
from tests.services.base import Missing, find_executable
from watchkeeper.daemon.core.counting import Counted, Counts
from watchkeeper.daemon.core.state import share_of
from watchkeeper.daemon.core.step import Sampled, Step
from watchkeeper.daemon.reporting.metric_names import Name
from watchkeeper.daemon.reporting.metrics import Metrics
from watchkeeper.daemon.transport.ports import Partition
from watchkeeper.detectors.banks import Columns
from watchkeeper.detectors.blocks import Member
from watchkeeper.detectors.types import Sample, Series, Severity, Window
from watchkeeper.handlers.types import ActionState, IncidentState

CLASHING = {"type", "env", "service", "region", "job", "instance", "le", "quantile", "cluster"}


def step(model: str = "fraud") -> Step:
    made = Step()
    counts = Counts(predictions=10, labels=4, late=1, joined=3, unmatched=1)
    made.counts = Counted.of({model: counts})
    made.findings.append(finding())
    made.levels[Series(model, "13", "latency", "p95"), "series_anomaly"] = 0.4
    series = Series(model, "13", "accuracy", "accuracy")
    made.samples.append(Sample(series, Window(T0 - 60, T0), 0.875, 400))
    made.note(model, [action(state=ActionState.HELD)], None, incident(model=model))
    return made


@pytest.fixture
def metrics() -> Metrics:
    made = Metrics("1.2.3")
    made.polled({"predictions": 10}, {Partition("predictions", 0): 5})
    made.refused("predictions", "syntax")
    made.refused("labels", "data_gap")
    made.spent("commit", 0.004)
    made.progress(T0, {"predictions": 0.5})
    made.stepped(step())
    made.live("fraud", "13")
    made.told({("sentry", "ok"): 3}, {"sentry": 0.0})
    return made


def page(metrics: Metrics) -> str:
    return metrics.exposition()[0].decode()


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_shares_are_counted_under_their_models() -> None:
    metrics, told = Metrics("1.2.3"), Step()
    counts = {share_of("fraud", n): Counts(predictions=n, late=1) for n in (1, 2)}
    told.counts = Counted.of({**counts, "churn": Counts(predictions=7)})
    metrics.live(share_of("fraud", 1), "13")

    metrics.stepped(told)

    text = page(metrics)
    assert value(metrics, "watchkeeper_model_predictions_total", model="fraud") == 3
    assert value(metrics, "watchkeeper_late_events_total", model="fraud") == 2
    assert value(metrics, "watchkeeper_model_predictions_total", model="churn") == 7
    assert share_of("fraud", 1) not in text
    assert 'version="13"' not in text


def test_a_gap_is_counted_beside_the_letters(metrics: Metrics) -> None:
    dead = "watchkeeper_dead_letters_total"

    assert value(metrics, dead, topic="labels", reason="data_gap") == 1
    assert value(metrics, "watchkeeper_data_gaps_total", topic="labels") == 1
    assert value(metrics, "watchkeeper_data_gaps_total", topic="predictions") is None


def test_every_name_is_in_use_and_listed(metrics: Metrics) -> None:
    families = text_string_to_metric_families(page(metrics))

    shown = {f.name + ("_total" if f.type == "counter" else "") for f in families}

    assert shown == set(get_args(Name))


def test_names_and_labels_keep_the_rules(metrics: Metrics) -> None:
    for family in text_string_to_metric_families(page(metrics)):
        assert re.fullmatch(r"watchkeeper_[a-z][a-z0-9]*(_[a-z0-9]+)*", family.name)
        assert family.documentation
        assert "percent" not in family.name
        assert family.type == "counter" or not family.name.endswith("_total")
        assert not re.search(r"_(count|sum|bucket|ms|milliseconds|gauge|counter)$", family.name)
        for sample in family.samples:
            own = set(sample.labels) - ({"le"} if family.type == "histogram" else set())
            assert not own & CLASHING, family.name
            assert len(own) <= 3
            assert not sample.name.endswith("_created")


@pytest.mark.service
def test_promtool_has_nothing_to_say(metrics: Metrics) -> None:
    try:
        promtool = find_executable("promtool", "prometheus")
    except Missing as reason:
        unavailable(str(reason))

    done = subprocess.run(
        [promtool, "check", "metrics"],
        input=page(metrics),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_a_step_shows_in_the_metrics(metrics: Metrics) -> None:
    assert value(metrics, "watchkeeper_model_predictions_total", model="fraud") == 10
    assert value(metrics, "watchkeeper_late_events_total", model="fraud") == 1
    quality = {"model": "fraud", "metric": "accuracy"}
    assert value(metrics, "watchkeeper_model_quality_ratio", **quality) == 0.875
    found = {"model": "fraud", "detector": "threshold", "target": "feature.missing[f1]"}
    assert value(metrics, "watchkeeper_detector_statistic", **found) == 12.5
    assert value(metrics, "watchkeeper_detector_threshold", **found) == 0.1
    assert value(metrics, "watchkeeper_incidents_total", model="fraud") == 1
    assert value(metrics, "watchkeeper_incident_detection_delay_seconds_sum") == 120


def test_the_newest_level_of_a_series_is_shown(metrics: Metrics) -> None:
    name, series = "watchkeeper_detector_level", Series("fraud", "13", "latency", "p95")
    labels = {"model": "fraud", "detector": "series_anomaly", "target": "latency[p95]"}
    assert value(metrics, name, **labels) == 0.4
    made = Step()
    made.levels[series, "series_anomaly"] = 2.5

    metrics.stepped(made)

    assert value(metrics, name, **labels) == 2.5


def test_levels_beyond_the_limit_are_counted_and_leave_findings_their_places() -> None:
    metrics, many = Metrics("1", targets=3), Step()
    series = [Series("fraud", "13", "metrics", f"host-{number}") for number in range(10)]
    many.levels.update({(each, "series_anomaly"): 0.5 for each in series})
    many.findings.append(finding())

    metrics.stepped(many)

    assert page(metrics).count("watchkeeper_detector_level{") == 3
    assert value(metrics, "watchkeeper_series_dropped_total", limit="target") == 7
    assert page(metrics).count("watchkeeper_detector_statistic{") == 1


def test_an_estimate_is_shown_with_its_trust(metrics: Metrics) -> None:
    name, labels = "watchkeeper_model_estimate", {"model": "fraud", "metric": "accuracy"}
    made = Step()
    made.estimates["fraud"] = {"accuracy": (0.91, 0.95)}

    metrics.stepped(made)

    assert value(metrics, name, **labels) == 0.91
    assert value(metrics, f"{name}_trust_ratio", **labels) == 0.95


def test_columns_of_samples_show_as_samples_do(metrics: Metrics) -> None:
    quality = {"model": "fraud", "metric": "f1"}
    after = Step()
    after.sampled.append(closed_windows(["fraud", "churn"]))

    metrics.stepped(after)

    assert value(metrics, "watchkeeper_model_quality_ratio", **quality) == 0.5
    others = {(s.labels["model"], s.labels["metric"]) for s in samples(metrics, "quality_ratio")}
    assert others == {("fraud", "accuracy"), ("fraud", "f1"), ("churn", "accuracy")}


def test_columns_of_models_beyond_the_limit_are_counted_and_not_shown() -> None:
    metrics, after = Metrics("1", models=1), Step()
    after.sampled.append(closed_windows(["fraud", "churn", "spam"]))

    metrics.stepped(after)

    assert {s.labels["model"] for s in samples(metrics, "quality_ratio")} == {"fraud"}
    assert value(metrics, "watchkeeper_series_dropped_total", limit="model") == 2


def closed_windows(models: list[str]) -> Sampled:
    """A window of each: all have an accuracy, the first one f1 as well."""
    targets = ("accuracy", "f1", "log_loss")
    shape = len(models), len(targets)
    given = np.zeros(shape, dtype=np.bool_)
    given[:, 0] = given[:, 2] = given[0, 1] = True
    numbers, n = np.full(shape, 0.5), np.full(shape, 9, dtype=np.int64)
    at = np.full(len(models), T0)
    judged = Columns("accuracy", targets, at - 60, at, given, numbers, n, numbers, numbers)
    counted = Columns("volume", targets, at - 60, at, given, numbers, n, numbers, numbers)
    return Sampled([Member(model, "13") for model in models], [judged, counted])


def samples(metrics: Metrics, name: str) -> list[Any]:
    families = text_string_to_metric_families(page(metrics))
    return [s for f in families if f.name == f"watchkeeper_model_{name}" for s in f.samples]


def test_health_follows_the_incident(metrics: Metrics) -> None:
    after = Step()
    approved = action(state=ActionState.PERMITTED)
    resolved = incident(state=IncidentState.RESOLVED, revision=2)
    after.note("fraud", [approved], incident(), resolved)
    opened = {"model": "fraud", "severity": Severity.CRITICAL.value}
    assert value(metrics, "watchkeeper_model_health", model="fraud", health="faulty") == 1
    assert value(metrics, "watchkeeper_incidents_open", **opened) == 1

    metrics.stepped(after)

    assert value(metrics, "watchkeeper_model_health", model="fraud", health="faulty") == 0
    assert value(metrics, "watchkeeper_model_health", model="fraud", health="healthy") == 1
    assert value(metrics, "watchkeeper_incidents_open", **opened) == 0


def test_only_one_version_is_live(metrics: Metrics) -> None:
    metrics.live("fraud", "12")

    assert value(metrics, "watchkeeper_model_info", model="fraud", version="13") is None
    assert value(metrics, "watchkeeper_model_info", model="fraud", version="12") == 1


def test_nothing_is_left_of_a_model_that_went_away(metrics: Metrics) -> None:
    metrics.stepped(step("churn"))
    metrics.live("churn", "13")

    metrics.keep_only(["churn"])

    assert 'model="fraud"' not in page(metrics)
    counted = "watchkeeper_model_predictions_total"
    assert value(metrics, counted, model="churn") == 10
    metrics.live("fraud", "13")
    metrics.stepped(step())
    assert value(metrics, counted, model="fraud") == 10
    assert value(metrics, "watchkeeper_model_info", model="fraud", version="13") == 1


def test_of_a_model_of_which_a_share_is_left_only_events_are_counted() -> None:
    metrics, share, late = Metrics("1", targets=1), Step(), Step()
    share.counts = Counted.of({share_of("fraud", 2): Counts(predictions=3)})
    metrics.live("fraud", "13")
    metrics.stepped(step())

    metrics.keep_only([share_of("fraud", 2)])
    metrics.stepped(share)

    lines = [line for line in page(metrics).splitlines() if 'model="fraud"' in line]
    assert {line.partition("{")[0] for line in lines} == {
        "watchkeeper_model_predictions_total",
        "watchkeeper_late_events_total",
        "watchkeeper_labels_joined_total",
        "watchkeeper_labels_unmatched_total",
    }
    assert value(metrics, "watchkeeper_model_predictions_total", model="fraud") == 13

    metrics.live("fraud", "14")
    late.levels[Series("fraud", "14", "latency", "p50"), "series_anomaly"] = 0.7
    metrics.stepped(late)
    level = {"model": "fraud", "detector": "series_anomaly", "target": "latency[p50]"}
    assert value(metrics, "watchkeeper_detector_level", **level) == 0.7
    assert value(metrics, "watchkeeper_model_info", model="fraud", version="14") == 1


def test_a_model_that_went_away_leaves_its_place_to_another() -> None:
    metrics = Metrics("1", models=1)
    metrics.live("fraud", "13")

    metrics.keep_only(["churn"])
    metrics.live("churn", "13")

    assert value(metrics, "watchkeeper_model_info", model="churn", version="13") == 1
    assert value(metrics, "watchkeeper_series_dropped_total", limit="model") is None


def test_levels_go_with_the_version_that_they_are_of(metrics: Metrics) -> None:
    name = "watchkeeper_detector_level"
    labels = {"model": "fraud", "detector": "series_anomaly", "target": "latency[p95]"}
    late = Step()
    late.levels[Series("fraud", "13", "latency", "p95"), "series_anomaly"] = 0.5

    metrics.live("fraud", "14")
    metrics.stepped(late)

    assert value(metrics, name, **labels) is None
    late.levels[Series("fraud", "14", "latency", "p95"), "series_anomaly"] = 0.7
    metrics.stepped(late)
    assert value(metrics, name, **labels) == 0.7


def test_what_is_shown_of_a_series_goes_with_it_and_leaves_its_place() -> None:
    metrics, before, after = Metrics("1", targets=1), Step(), Step()
    old, new = (Series("fraud", "13", "feature.missing", name) for name in ("f1", "f2"))
    before.findings.append(finding(target="f1"))
    before.levels[old, "threshold"] = 0.4
    metrics.stepped(before)
    after.let_go(old, ["threshold"])
    after.levels[new, "threshold"] = 0.6

    metrics.stepped(after)

    assert "feature.missing[f1]" not in page(metrics)
    assert "feature.missing[f2]" in page(metrics)
    assert value(metrics, "watchkeeper_findings_total", model="fraud", severity="critical") == 1
    assert value(metrics, "watchkeeper_series_dropped_total", limit="target") is None


def test_a_partition_that_went_away_has_no_lag(metrics: Metrics) -> None:
    metrics.released([Partition("predictions", 0)])

    lag = {"topic": "predictions", "partition": "0"}
    assert value(metrics, "watchkeeper_consumer_lag_records", **lag) is None


def test_models_beyond_the_limit_are_counted_and_not_shown() -> None:
    metrics = Metrics("1", models=3)  # the finding's own model is one of them

    for number in range(5):
        metrics.stepped(step(f"model-{number}"))

    assert 'model="model-1"' in page(metrics)
    assert 'model="model-2"' not in page(metrics)
    dropped = value(metrics, "watchkeeper_series_dropped_total", limit="model")
    assert dropped is not None
    assert dropped >= 3


def test_targets_beyond_the_limit_are_counted_and_not_shown() -> None:
    metrics = Metrics("1", targets=3)
    many = Step()
    many.findings += [finding(target=f"feature-{number}") for number in range(10)]

    metrics.stepped(many)

    assert page(metrics).count("watchkeeper_detector_statistic{") == 3
    assert value(metrics, "watchkeeper_series_dropped_total", limit="target") == 7


def test_the_outboxs_totals_are_not_counted_twice(metrics: Metrics) -> None:
    metrics.told({("sentry", "ok"): 5}, {})
    metrics.told({("sentry", "ok"): 5}, {})

    told = {"sink": "sentry", "outcome": "ok"}
    assert value(metrics, "watchkeeper_alerts_total", **told) == 5


def test_openmetrics_is_given_to_who_asks_for_it(metrics: Metrics) -> None:
    body, content_type = metrics.exposition("application/openmetrics-text; version=1.0.0")

    assert "openmetrics" in content_type
    assert body.endswith(b"# EOF\n")
