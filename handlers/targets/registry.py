"""The daemon's own registry of versions, for models that no other registry keeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import msgspec

from watchkeeper.handlers.errors import Refused


class Artefact(msgspec.Struct, frozen=True):
    """One version's model file: an ONNX file at `path` with its SHA-256 digest in hex."""

    path: str
    digest: str


class NewVersion(msgspec.Struct, frozen=True):
    """A candidate to register: its file, and the version and data set it came from."""

    version: str
    artefact: Artefact
    parent: str
    dataset_digest: str


@runtime_checkable
class RegistryPort(Protocol):
    """What the registry needs from storage. Raises `Unreachable` when storage does not answer."""

    def live(self, model: str) -> str | None:
        """The version that was made live last; None for an unknown model."""

    def versions(self, model: str) -> list[str]:
        """Every version of a model that may be made live, oldest first."""

    def set_live(self, model: str, version: str, by: str, reason: str, key: str) -> None:
        """Records `version` as live, in one transaction and once for a `key`."""

    def artefact(self, model: str, version: str) -> Artefact | None:
        """The file of a version, if one was registered with it."""

    def add(self, model: str, new: NewVersion, key: str) -> None:
        """Registers a version, once for a `key`; it is not live by that."""


@dataclass
class Registry:
    """A Deployer, and the place candidates go to, on the daemon's own registry.

    It records what shall be live; put it into `Combined` with something that makes it so.
    """

    port: RegistryPort
    by: str = "watchkeeper"

    def current(self, model: str) -> str | None:
        return self.port.live(model)

    def available(self, model: str) -> list[str]:
        return self.port.versions(model)

    def switch(self, model: str, version: str, key: str) -> None:
        if version not in self.port.versions(model):
            raise Refused(f"the registry has no version {version} of {model}")
        self.port.set_live(model, version, self.by, f"action {key}", key)

    def verify(self, model: str) -> str | None:
        return self.port.live(model)

    def register(self, model: str, new: NewVersion, key: str) -> str:
        self.port.add(model, new, key)
        return new.version
