"""The rule of the labels changes for good: a retrained version is promoted once a person agrees."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from tests.e2e.census import Versions
from tests.e2e.pages import pages_of
from tests.e2e.registry import DIGEST_TAG, ModelRegistry
from tests.e2e.scenario import WINDOW_S, Scenario
from tests.e2e.stage import Stage
from tests.services.bugsink import Project
from tests.services.mlflow import Mlflow
from watchkeeper.daemon.actions.traffic import StoredExamples
from watchkeeper.daemon.storage.store import Store
from watchkeeper.handlers.types import IncidentState, Kind

pytestmark = [pytest.mark.service, pytest.mark.slow]

RELABELLED_FROM = 42 * WINDOW_S
SETTINGS = {
    "positive": "1",
    "examples_min": 3_000,
    "mode": "act",
    "actions": {"promote": "ask"},
    "serving": {"target": "mlflow+application"},
}


def accuracy(store: Store, model: str, version: str) -> float:
    """How often a version was right about its newest predictions that have a truth."""
    examples = StoredExamples(store).newest(model, 2_000)
    rows = np.array([each == version for each in examples.version], dtype=np.bool_)
    assert rows.sum() > 200
    return float(np.mean(examples.label[rows] == examples.predicted_label[rows]))


def test_retrained_version_is_promoted_after_approval_and_accuracy_recovers(
    stage: Stage, trained: Versions, tmp_path: Path, bugsink: Project, mlflow: Mlflow
) -> None:
    registry = ModelRegistry(mlflow.url, stage.model)
    registry.create([trained.healthy], live="1")
    watch = stage.install(
        f"sqlite:///{tmp_path / 'watchkeeper.db'}",
        SETTINGS,
        sentry={"dsn": bugsink.dsn},
        mlflow={"uri": mlflow.url},
    )
    watch.cli("model", "register", stage.model, "1", "--file", str(trained.healthy))
    watch.start()

    played = Scenario(
        model=stage.model,
        versions={"1": str(trained.healthy)},
        seconds=180 * WINDOW_S,
        relabelled_from=RELABELLED_FROM,
    )
    stage.play(played, watch, mlflow.url)
    held = watch.wait_action(240, "promote", "held")
    before = accuracy(watch.store, stage.model, "1")
    watch.cli("action", "approve", held.id, "--reason", "the new rule is here to stay")
    resolved = watch.wait_incident(120, "resolved")

    assert resolved.fault.kind is Kind.MODEL
    assert [i.state for i in watch.incidents()] == [IncidentState.RESOLVED]
    done = {a.kind: a.state.value for a in watch.actions()}
    assert done == {"retrain": "successful", "promote": "successful"}
    candidate = str(held.args["to_version"])
    assert registry.aliased() == candidate == "2"
    served = tmp_path / f"{stage.model}-{candidate}.onnx"
    assert hashlib.sha256(served.read_bytes()).hexdigest() == registry.tags(candidate)[DIGEST_TAG]
    assert accuracy(watch.store, stage.model, candidate) > before + 0.08
    assert pages_of(bugsink, 3) == ["opened", "approval", "resolved"]
