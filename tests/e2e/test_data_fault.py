"""A feature goes missing upstream, and comes back: the data is at fault, nothing is rolled back."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.census import Versions
from tests.e2e.pages import pages_of
from tests.e2e.registry import ModelRegistry
from tests.e2e.scenario import START, WINDOW_S, Scenario
from tests.e2e.stage import Stage
from tests.services.bugsink import Project
from tests.services.mlflow import Mlflow
from watchkeeper.handlers.types import IncidentState, Kind

pytestmark = [pytest.mark.service, pytest.mark.slow]

NULLED_FROM, NULLED_TO = 42 * WINDOW_S, 52 * WINDOW_S
SETTINGS = {
    "positive": "1",
    "mode": "act",
    "serving": {"target": "mlflow+application"},
}


def test_missing_feature_is_the_data_and_nothing_is_rolled_back(
    stage: Stage, trained: Versions, tmp_path: Path, bugsink: Project, mlflow: Mlflow
) -> None:
    # A healthy version 2 was deployed before, so that there would be something to go back to.
    registry = ModelRegistry(mlflow.url, stage.model)
    registry.create([trained.healthy, trained.healthy], live="1")
    watch = stage.install(
        f"sqlite:///{tmp_path / 'watchkeeper.db'}",
        SETTINGS,
        sentry={"dsn": bugsink.dsn},
        mlflow={"uri": mlflow.url},
    )
    watch.start()

    played = Scenario(
        model=stage.model,
        versions={"1": str(trained.healthy), "2": str(trained.healthy)},
        seconds=75 * WINDOW_S,
        deployed="2",
        deploy_at=15 * WINDOW_S,
        nulled="AGEP",
        nulled_from=NULLED_FROM,
        nulled_to=NULLED_TO,
    )
    stage.play(played, watch, mlflow.url)
    stage.wait_end(watch, 180)

    (incident,) = watch.incidents()
    assert incident.state is IncidentState.RESOLVED, watch.story()
    assert incident.fault.kind is Kind.DATA
    assert "AGEP" in incident.fault.place
    assert START + NULLED_FROM < incident.opened_at <= START + NULLED_FROM + 3 * WINDOW_S
    assert incident.resolved_at is not None
    assert incident.resolved_at > START + NULLED_TO
    assert watch.actions() == []
    assert registry.aliased() == "2"
    assert pages_of(bugsink, 3) == ["opened", "escalated", "resolved"]
