"""The application's side of MLflow: registering its versions and fetching those of others."""

from __future__ import annotations

import hashlib
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlencode

import msgspec

from tests.services import rest

DIGEST_TAG = "watchkeeper.digest"
_API = "/api/2.0/mlflow"
_ARTEFACTS = "/api/2.0/mlflow-artifacts/artifacts"
_SCHEME = "mlflow-artifacts:"


class _Tag(msgspec.Struct, frozen=True):
    key: str
    value: str = ""


class _Version(msgspec.Struct, frozen=True):
    version: str
    source: str = ""
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


@dataclass(frozen=True)
class ModelRegistry:
    """One registered model on an MLflow server."""

    url: str
    model: str

    def create(self, files: list[Path], live: str, alias: str = "champion") -> None:
        """Registers the files as versions 1, 2, ... and gives one of them the alias."""
        self._post("registered-models/create", {"name": self.model}, object)
        for file in files:
            self._register(file)
        self.give_alias(live, alias)

    def give_alias(self, version: str, alias: str = "champion") -> None:
        """Says which version is live."""
        body = {"name": self.model, "alias": alias, "version": version}
        self._post("registered-models/alias", body, object)

    def aliased(self, alias: str = "champion") -> str:
        """The version that has the alias."""
        return self._get("registered-models/alias", {"alias": alias}).version

    def tags(self, version: str) -> dict[str, str]:
        """What is written on a version."""
        found = self._get("model-versions/get", {"version": version})
        return {tag.key: tag.value for tag in found.tags}

    def fetch(self, version: str, folder: Path) -> Path:
        """Downloads a version's file; ValueError unless it has the digest the registry names."""
        found = self._get("model-versions/get", {"version": version})
        wanted = {tag.key: tag.value for tag in found.tags}.get(DIGEST_TAG, "")
        url = f"{self.url}{_ARTEFACTS}/{_path(found.source)}/model.onnx"
        data = _exchange("GET", url, None)
        if hashlib.sha256(data).hexdigest() != wanted:
            raise ValueError(f"version {version} is not the file that was registered")
        file = folder / f"{self.model.replace('/', '-')}-{version}.onnx"
        file.write_bytes(data)
        return file

    def _register(self, file: Path) -> None:
        data = file.read_bytes()
        run = self._post("runs/create", {"experiment_id": "0"}, _Created).run.info
        source = f"{run.artifact_uri}/model"
        _exchange("PUT", f"{self.url}{_ARTEFACTS}/{_path(source)}/model.onnx", data)
        tags = [{"key": DIGEST_TAG, "value": hashlib.sha256(data).hexdigest()}]
        body = {"name": self.model, "source": source, "run_id": run.run_id, "tags": tags}
        self._post("model-versions/create", body, object)

    def _get(self, path: str, query: dict[str, str]) -> _Version:
        asked = urlencode({"name": self.model, **query})
        return rest.request("GET", f"{self.url}{_API}/{path}?{asked}", _One).model_version

    def _post(self, path: str, body: object, kind: type[rest.T]) -> rest.T:
        return rest.request("POST", f"{self.url}{_API}/{path}", kind, body=body)


def _path(source: str) -> str:
    return source.removeprefix(_SCHEME).lstrip("/")


def _exchange(method: Literal["GET", "PUT"], url: str, data: bytes | None) -> bytes:
    asked = urllib.request.Request(url, data=data, method=method)
    with urllib.request.urlopen(asked, timeout=30) as answer:
        text: bytes = answer.read()
    return text
