"""MLflow's model registry: an alias names the live version."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from watchkeeper.handlers.egress import Egress
from watchkeeper.handlers.errors import Refused
from watchkeeper.handlers.targets.registry import NewVersion

_API = "/api/2.0/mlflow"
_KEY_TAG = "watchkeeper.key"
_PAGES = 50
_PAGE_SIZE = 200


class _Tag(msgspec.Struct, frozen=True):
    key: str
    value: str = ""


class _Version(msgspec.Struct, frozen=True):
    version: str
    status: str = "READY"
    tags: tuple[_Tag, ...] = ()


class _One(msgspec.Struct, frozen=True):
    model_version: _Version


class _Info(msgspec.Struct, frozen=True):
    run_id: str
    artifact_uri: str


class _Run(msgspec.Struct, frozen=True):
    info: _Info


class _Created(msgspec.Struct, frozen=True):
    run: _Run


class _Many(msgspec.Struct, frozen=True):
    model_versions: tuple[_Version, ...] = ()
    next_page_token: str = ""


@dataclass
class MLflow:
    """A Deployer, and the place candidates go to, on an MLflow server's REST interface.

    A version is MLflow's version number, which predictions must carry as `model_version`. Moving
    the alias changes nothing that is already loaded: put this into `Combined` with what serves.
    Candidates are kept as runs of the experiment `experiment_id`.
    """

    http: Egress
    alias: str = "champion"
    experiment_id: str = "0"

    def current(self, model: str) -> str | None:
        query = {"name": model, "alias": self.alias}
        try:
            found = self.http.call("GET", f"{_API}/registered-models/alias", _One, query=query)
        except Refused as error:
            if error.status in (400, 404):
                return None
            raise
        return found.model_version.version

    def available(self, model: str) -> list[str]:
        ready = [v.version for v in self._versions(model) if v.status == "READY"]
        return sorted(ready, key=_number)

    def switch(self, model: str, version: str, key: str) -> None:
        body = {"name": model, "alias": self.alias, "version": version}
        self.http.call("POST", f"{_API}/registered-models/alias", object, body=body)

    def verify(self, model: str) -> str | None:
        return self.current(model)

    def register(self, model: str, new: NewVersion, key: str) -> str:
        """Uploads the candidate through the server and registers it, once for a `key`."""
        for version in self._versions(model):
            if _Tag(_KEY_TAG, key) in version.tags:
                return version.version
        run = self._run(new.version)
        folder = f"{run.artifact_uri}/model"
        _, proxied, path = folder.partition("mlflow-artifacts:")
        if not proxied:
            raise Refused(f"this MLflow server takes no uploads: its artefacts lie in {folder}")
        upload = f"/api/2.0/mlflow-artifacts/artifacts/{path.lstrip('/')}/model.onnx"
        self.http.call("PUT", upload, object, raw=Path(new.artefact.path).read_bytes())
        tags = {
            _KEY_TAG: key,
            "watchkeeper.digest": new.artefact.digest,
            "watchkeeper.parent": new.parent,
            "watchkeeper.dataset": new.dataset_digest,
        }
        body = {
            "name": model,
            "source": folder,
            "run_id": run.run_id,
            "tags": [{"key": k, "value": v} for k, v in tags.items()],
        }
        made = self.http.call("POST", f"{_API}/model-versions/create", _One, body=body)
        return made.model_version.version

    def _run(self, name: str) -> _Info:
        """A new run to keep the file: MLflow takes files of its own store only from a run."""
        body = {"experiment_id": self.experiment_id, "run_name": name}
        return self.http.call("POST", f"{_API}/runs/create", _Created, body=body).run.info

    def _versions(self, model: str) -> list[_Version]:
        quoted = model.replace("'", "")
        query = {"filter": f"name='{quoted}'", "max_results": str(_PAGE_SIZE)}
        found: list[_Version] = []
        for _ in range(_PAGES):
            page = self.http.call("GET", f"{_API}/model-versions/search", _Many, query=query)
            found.extend(page.model_versions)
            if not page.next_page_token:
                return found
            query["page_token"] = page.next_page_token
        return found


def _number(version: str) -> tuple[int, str]:
    return (int(version), version) if version.isdigit() else (-1, version)
