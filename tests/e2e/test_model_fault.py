"""A bad version goes live: found, located, rolled back, seen to recover, told once."""

from __future__ import annotations

import pytest

from tests.conftest import StartPrometheus
from tests.e2e.census import Versions
from tests.e2e.pages import pages_of
from tests.e2e.proxy import recording
from tests.e2e.registry import ModelRegistry
from tests.e2e.scenario import START, WINDOW_S, Scenario
from tests.e2e.stage import Stage
from tests.services.bugsink import Project
from tests.services.mlflow import Mlflow
from tests.services.prometheus import promtool_check_metrics
from watchkeeper.handlers.types import ActionState, IncidentState, Kind

pytestmark = [pytest.mark.service, pytest.mark.slow]

DEPLOYED_AT = 42 * WINDOW_S
SETTINGS = {
    "positive": "1",
    "mode": "act",
    "serving": {"target": "mlflow+application"},
}


def scenario(model: str, trained: Versions) -> Scenario:
    """Version 2, which has two columns swapped, is deployed after 42 windows."""
    return Scenario(
        model=model,
        versions={"1": str(trained.healthy), "2": str(trained.mistaken)},
        seconds=75 * WINDOW_S,
        deployed="2",
        deploy_at=DEPLOYED_AT,
    )


def test_bad_version_is_rolled_back_and_the_incident_resolves(
    stage: Stage,
    trained: Versions,
    postgres_url: str,
    bugsink: Project,
    mlflow: Mlflow,
    prometheus: StartPrometheus,
) -> None:
    registry = ModelRegistry(mlflow.url, stage.model)
    registry.create([trained.healthy, trained.mistaken], live="1")
    with recording(mlflow.url) as proxy:
        watch = stage.install(
            postgres_url, SETTINGS, sentry={"dsn": bugsink.dsn}, mlflow={"uri": proxy.url}
        )
        watch.cli("model", "register", stage.model, "1", "--file", str(trained.healthy))
        watch.cli("model", "register", stage.model, "2", "--file", str(trained.mistaken))
        watch.start()
        server = prometheus([f"127.0.0.1:{watch.port}"])

        stage.play(scenario(stage.model, trained), watch, mlflow.url)
        stage.wait_end(watch, 180)

        (incident,) = watch.incidents()
        assert incident.state is IncidentState.RESOLVED, watch.story()
        assert incident.fault.kind is Kind.MODEL
        assert incident.fault.place == "version 2"
        assert any(each.weight > 0 for each in incident.fault.evidence)
        assert START + DEPLOYED_AT < incident.opened_at < START + DEPLOYED_AT + 10 * WINDOW_S
        (rollback,) = watch.actions()
        assert (rollback.kind, rollback.state) == ("rollback", ActionState.SUCCESSFUL)
        assert rollback.args["to_version"] == "1"
        assert registry.aliased() == "1"
        own = watch.store.registry
        assert [each.version for each in own.deployments(stage.model)] == ["2", "1"]
        statuses = {each.version: each.status for each in own.versions(stage.model)}
        assert statuses == {"1": "live", "2": "faulty"}
        moved = proxy.calls("POST", "/registered-models/alias")
        assert [call.status for call in moved] == [200]
        assert pages_of(bugsink, 2) == ["opened", "resolved"]
        assert promtool_check_metrics(watch.metrics()) == []
        assert server.query(f'{{__name__=~"watchkeeper_.+", model="{stage.model}"}}')
