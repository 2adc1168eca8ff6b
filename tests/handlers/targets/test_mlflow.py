"""MLflow's registry as a target: against a real server, and its faults against a small one."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import stamina

from tests.handlers import cases
from tests.handlers.web import Answer, Request, serving
from tests.services.mlflow import Mlflow
from watchkeeper.handlers.checks import DeployerTrial, check_deployer
from watchkeeper.handlers.egress import Egress
from watchkeeper.handlers.errors import Refused, Unreachable
from watchkeeper.handlers.switching import move
from watchkeeper.handlers.targets.mlflow import MLflow
from watchkeeper.handlers.targets.registry import Artefact, NewVersion
from watchkeeper.handlers.types import Phase

_HERE = ("127.0.0.1",)
_ALIAS = "/api/2.0/mlflow/registered-models/alias"


@pytest.fixture(autouse=True)
def _quick_retries() -> Iterator[None]:
    with stamina.set_testing(True, attempts=2):
        yield


def _target(url: str) -> MLflow:
    return MLflow(Egress(url, _HERE, timeout=20.0))


@pytest.mark.service
def test_a_real_server_passes_the_checks_of_every_deployer(mlflow: Mlflow) -> None:
    def trial() -> DeployerTrial:
        model = f"churn-{uuid.uuid4().hex[:8]}"
        mlflow.create_model(model, 3)
        target = _target(mlflow.url)
        target.switch(model, "2", "set-up")
        switched = _Switches(target, model)
        return DeployerTrial(
            deployer=lambda: switched,
            switches=lambda: switched.count,
            meddle=lambda version: target.switch(model, version, "somebody else"),
            model=model,
            live="2",
            other="1",
            third="3",
        )

    check_deployer(trial)


@pytest.mark.service
def test_a_candidate_is_uploaded_and_registered_once(mlflow: Mlflow, tmp_path: Path) -> None:
    model = f"churn-{uuid.uuid4().hex[:8]}"
    mlflow.create_model(model, 1)
    file = tmp_path / "model.onnx"
    file.write_bytes(b"weights")
    digest = hashlib.sha256(b"weights").hexdigest()
    new = NewVersion("1.r-act", Artefact(str(file), digest), "1", "ab" * 32)
    target = _target(mlflow.url)

    names = [target.register(model, new, "act-retrain") for _ in range(2)]

    assert names == ["2", "2"]
    assert target.available(model) == ["1", "2"]
    query = {"name": model, "version": "2"}
    uri = target.http.call(
        "GET",
        "/api/2.0/mlflow/model-versions/get-download-uri",
        dict[str, str],
        query=query,
    )
    path = uri["artifact_uri"].removeprefix("mlflow-artifacts:/")
    stored = target.http.send("GET", f"/api/2.0/mlflow-artifacts/artifacts/{path}/model.onnx")
    assert stored == b"weights"


@pytest.mark.service
def test_a_model_without_the_alias_is_not_known_to_be_live(mlflow: Mlflow) -> None:
    model = f"churn-{uuid.uuid4().hex[:8]}"
    mlflow.create_model(model, 1)

    assert _target(mlflow.url).current(model) is None
    assert _target(mlflow.url).current("no-such-model") is None


class _Switches(MLflow):
    """Counts how often the alias really moved: MLflow itself keeps no history of it."""

    def __init__(self, target: MLflow, model: str) -> None:
        super().__init__(target.http)
        self.model = model
        self.count = 0

    def switch(self, model: str, version: str, key: str) -> None:
        before = self.current(model)
        super().switch(model, version, key)
        self.count += self.current(model) != before


class _Server:
    """Answers as MLflow does, and fails where it is told to."""

    def __init__(self) -> None:
        self.version = "2"
        self.fail: dict[tuple[str, str], Answer] = {}
        self.lose_answer = False
        self.posts = 0

    def __call__(self, request: Request) -> Answer:
        failure = self.fail.get((request.method, request.path))
        if failure is not None:
            return failure
        if request.path.endswith("/model-versions/search"):
            return Answer(body=self._page(request.query))
        if request.method == "POST" and request.path == _ALIAS:
            self.posts += 1
            self.version = msgspec.json.decode(request.body, type=dict[str, str])["version"]
            return Answer(500 if self.lose_answer else 200, {})
        if request.path == _ALIAS:
            return Answer(body={"model_version": {"version": self.version}})
        return Answer(body={})

    def _page(self, query: dict[str, str]) -> dict[str, object]:
        if "page_token" not in query:
            versions = [{"version": "10"}, {"version": "2"}]
            return {"model_versions": versions, "next_page_token": "more"}
        pending = {"version": "11", "status": "PENDING_REGISTRATION"}
        return {"model_versions": [{"version": "1"}, pending]}


def test_every_page_of_versions_is_read_and_only_ready_ones_count() -> None:
    with serving(_Server()) as url:
        assert _target(url).available("churn") == ["1", "2", "10"]


def test_an_alias_moved_although_the_answer_was_lost_counts_as_moved() -> None:
    server = _Server()
    server.lose_answer = True

    with serving(server) as url:
        outcome = move(_target(url), cases.action(), "2", "1", step="run", at=0.0)

    assert outcome.phase is Phase.SUCCESSFUL
    assert server.posts == 1


@pytest.mark.parametrize(("status", "phase"), [(403, Phase.FAILED), (503, Phase.ERROR)])
def test_a_version_that_cannot_be_read_is_not_switched(status: int, phase: Phase) -> None:
    server = _Server()
    server.fail["GET", _ALIAS] = Answer(status, {"error_code": "NO"})

    with serving(server) as url:
        outcome = move(_target(url), cases.action(), "2", "1", step="run", at=0.0)

    assert outcome.phase is phase
    assert server.posts == 0


@pytest.mark.parametrize(("status", "error"), [(403, Refused), (500, Unreachable)])
def test_only_a_missing_alias_means_that_nothing_is_live(
    status: int, error: type[Exception]
) -> None:
    server = _Server()
    server.fail["GET", _ALIAS] = Answer(status)

    with serving(server) as url, pytest.raises(error):
        _target(url).current("churn")
