"""A registry that records what shall be live, and a server that makes it so."""

from __future__ import annotations

from dataclasses import dataclass

from watchkeeper.handlers.errors import Refused
from watchkeeper.handlers.switching import Deployer


@dataclass
class Combined:
    """A Deployer of two: `registry` is switched first, `serving` must follow.

    What is live is what `serving` says. A switch is verified only when both name one version. When
    `serving` refuses, the registry is put back. When it does not answer, nobody knows whether it
    obeyed: the registry goes on naming what was asked for, the switch is not verified, and calling
    again with the same key asks `serving` once more.
    """

    registry: Deployer
    serving: Deployer

    def current(self, model: str) -> str | None:
        return self.serving.current(model)

    def available(self, model: str) -> list[str]:
        return self.registry.available(model)

    def switch(self, model: str, version: str, key: str) -> None:
        before = self.serving.current(model)
        if self.registry.current(model) != version:
            self.registry.switch(model, version, key)
        try:
            self.serving.switch(model, version, key)
        except Refused:
            if before is not None and before != version:
                self.registry.switch(model, before, f"{key}:back")
            raise

    def verify(self, model: str) -> str | None:
        recorded, served = self.registry.verify(model), self.serving.verify(model)
        return served if recorded == served else None
