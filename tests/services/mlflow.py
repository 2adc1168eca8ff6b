"""The MLflow server, with its model registry in SQLite, in its own virtual environment."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec

from tests.services import base, rest
from tests.services.process import Process, Service

T = TypeVar("T")

_VERSION = "3.17.2"
_READY_SECONDS = 120.0


class _Info(msgspec.Struct, frozen=True):
    run_id: str
    artifact_uri: str


class _Run(msgspec.Struct, frozen=True):
    info: _Info


class _Created(msgspec.Struct, frozen=True):
    run: _Run


class Mlflow(Service):
    """A tracking server and model registry; its REST interface lies under `url`."""

    name = "mlflow"

    def __init__(self) -> None:
        self._bin = _programs(base.may_download())
        super().__init__()
        (self._port,) = base.free_ports(1)
        self.url = f"http://127.0.0.1:{self._port}"

    def launch(self) -> Process:
        """Start the server with one worker."""
        options = {
            "--workers": "1",
            "--host": "127.0.0.1",
            "--port": str(self._port),
            "--backend-store-uri": f"sqlite:///{self.directory / 'mlflow.db'}",
            "--artifacts-destination": str(self.directory / "artifacts"),
        }
        command = [str(self._bin / "mlflow"), "server"]
        command += [word for option in options.items() for word in option]
        # Neither the runner of background jobs (230 MB) nor reports to its makers.
        env = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        process = Process(command, self.directory / "mlflow.log", env=env)
        process.wait_ready(lambda: rest.healthy(f"{self.url}/health"), _READY_SECONDS)
        return process

    def create_model(self, name: str, versions: int) -> None:
        """Register a model with versions 1 to `versions`, each from a run of its own."""
        self.post("registered-models/create", {"name": name}, object)
        for _ in range(versions):
            run = self.post("runs/create", {"experiment_id": "0"}, _Created).run.info
            source = {"source": f"{run.artifact_uri}/model", "run_id": run.run_id}
            self.post("model-versions/create", {"name": name, **source}, object)

    def post(self, path: str, body: object, kind: type[T]) -> T:
        """Call one method of the REST interface."""
        return rest.request("POST", f"{self.url}/api/2.0/mlflow/{path}", kind, body=body)


def _programs(install: bool) -> Path:
    return base.venv("mlflow", _VERSION, install)


def version(install: bool) -> str:
    """Return the version of MLflow that would be started."""
    _programs(install)
    return _VERSION


COMPONENT = base.Component("mlflow", "own venv (850 MB), one worker, SQLite", version)
