"""kill -9 in the middle of a model fault, ten times: nothing is lost, nothing is done twice."""

from __future__ import annotations

import random
import threading
from functools import partial

import pytest

from tests.e2e.census import Versions
from tests.e2e.daemon import Watchkeeper
from tests.e2e.pages import pages_of
from tests.e2e.proxy import recording
from tests.e2e.registry import ModelRegistry
from tests.e2e.stage import Stage
from tests.e2e.test_model_fault import SETTINGS, scenario
from tests.services.bugsink import Project
from tests.services.mlflow import Mlflow
from watchkeeper.daemon.transport.ports import Partition
from watchkeeper.handlers.types import IncidentState, Kind

pytestmark = [pytest.mark.service, pytest.mark.slow]

KILLS = 10
# Predictions read: from just before the deployment to some time after the recovery.
FIRST, LAST = 41 * 240, 62 * 240
LATEST_S = 0.5  # how long after its moment a kill may come


def _has_read(watch: Watchkeeper, partition: Partition, count: int) -> bool:
    return (watch.store.records.offsets().get(partition) or 0) >= count


@pytest.mark.timeout(420)
def test_killed_daemon_loses_nothing_and_acts_once(
    stage: Stage, trained: Versions, postgres_url: str, bugsink: Project, mlflow: Mlflow
) -> None:
    registry = ModelRegistry(mlflow.url, stage.model)
    registry.create([trained.healthy, trained.mistaken], live="1")
    chance = random.Random(11)
    moments = sorted(chance.randint(FIRST, LAST) for _ in range(KILLS))
    pause = threading.Event()
    with recording(mlflow.url) as proxy:
        watch = stage.install(
            postgres_url, SETTINGS, sentry={"dsn": bugsink.dsn}, mlflow={"uri": proxy.url}
        )
        watch.cli("model", "register", stage.model, "1", "--file", str(trained.healthy))
        watch.cli("model", "register", stage.model, "2", "--file", str(trained.mistaken))
        watch.start()
        stage.play(scenario(stage.model, trained), watch, mlflow.url)
        predictions = Partition(f"{stage.prefix}predictions", 0)

        for moment in moments:
            watch.wait(partial(_has_read, watch, predictions, moment), 60, "the next moment")
            pause.wait(chance.uniform(0.0, LATEST_S))
            watch.kill()
            watch.start()
        stage.wait_end(watch, 180)

        (incident,) = watch.incidents()
        assert incident.state is IncidentState.RESOLVED, watch.story()
        assert incident.fault.kind is Kind.MODEL
        assert [(a.kind, a.state.value) for a in watch.actions()] == [("rollback", "successful")]
        assert registry.aliased() == "1"
        assert len(proxy.calls("POST", "/registered-models/alias")) == 1
        assert pages_of(bugsink, 2) == ["opened", "resolved"]
