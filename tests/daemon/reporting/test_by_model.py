"""Numbers of models are few bytes each, and go with their model."""

from __future__ import annotations

import tracemalloc

import pytest
from prometheus_client import CollectorRegistry

from watchkeeper.daemon.reporting.by_model import ByModel
from watchkeeper.daemon.reporting.families import FAMILIES
from watchkeeper.daemon.reporting.metric_names import Name

EVIDENCE: Name = "watchkeeper_model_evidence"
HEALTH: Name = "watchkeeper_model_health"
FOUND: Name = "watchkeeper_findings_total"
LEVEL: Name = "watchkeeper_detector_level"


@pytest.fixture
def numbers() -> ByModel:
    return ByModel(FAMILIES)


def shown(numbers: ByModel) -> dict[tuple[str, ...], float]:
    registry = CollectorRegistry()
    registry.register(numbers)
    found = [each for family in registry.collect() for each in family.samples]
    return {(each.name, *each.labels.values()): each.value for each in found}


def test_what_was_set_and_added_is_shown_with_its_labels(numbers: ByModel) -> None:
    numbers.set(EVIDENCE, 2.0, "fraud")
    numbers.set(EVIDENCE, 3.0, "fraud")
    numbers.add(FOUND, 1, "fraud", "warning")
    numbers.add(FOUND, 2, "fraud", "warning")
    numbers.set(HEALTH, 1.0, "churn", "healthy")

    assert shown(numbers) == {
        (EVIDENCE, "fraud"): 3.0,
        (FOUND, "fraud", "warning"): 3.0,
        (HEALTH, "churn", "healthy"): 1.0,
    }


def test_what_is_dropped_is_not_shown(numbers: ByModel) -> None:
    for target in ("a", "b", "c"):
        numbers.set(LEVEL, 1.0, "fraud", "psi", target)
    numbers.set(EVIDENCE, 1.0, "fraud")

    numbers.drop(LEVEL, "fraud", "psi", "a")
    numbers.drop(LEVEL, "churn", "psi", "a")

    assert set(shown(numbers)) == {
        (EVIDENCE, "fraud"),
        (LEVEL, "fraud", "psi", "b"),
        (LEVEL, "fraud", "psi", "c"),
    }
    numbers.drop_all(LEVEL, "fraud")
    assert set(shown(numbers)) == {(EVIDENCE, "fraud")}


def test_only_models_that_are_kept_are_shown(numbers: ByModel) -> None:
    for model in ("fraud", "churn"):
        numbers.set(EVIDENCE, 1.0, model)

    numbers.keep_only({"churn", "never seen"})

    assert set(shown(numbers)) == {(EVIDENCE, "churn")}


def test_of_a_share_only_what_counts_shares_is_left(numbers: ByModel) -> None:
    counted: Name = "watchkeeper_model_predictions_total"
    for model in ("fraud", "churn"):
        numbers.set(EVIDENCE, 1.0, model)
        numbers.add(FOUND, 1.0, model, "warning")
        numbers.add(counted, 5.0, model)

    numbers.keep_only({"churn"}, {"fraud", "never seen"})

    assert shown(numbers) == {
        (EVIDENCE, "churn"): 1.0,
        (FOUND, "churn", "warning"): 1.0,
        (counted, "churn"): 5.0,
        (counted, "fraud"): 5.0,
    }


def test_every_family_has_a_name_of_its_own() -> None:
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)


def test_a_number_takes_a_hundred_bytes(numbers: ByModel) -> None:
    names = [f"model-{number}" for number in range(200)]
    metrics = ["accuracy", "precision", "recall", "f1", "roc_auc"]
    tracemalloc.start()

    for model in names:
        for metric in metrics:
            numbers.set("watchkeeper_model_quality_ratio", float(len(model)) / 3, model, metric)
            numbers.set("watchkeeper_model_estimate", float(len(model)) / 7, model, metric)
            numbers.set("watchkeeper_model_estimate_trust_ratio", 0.5, model, metric)
    took, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert took / (15 * len(names)) < 100
