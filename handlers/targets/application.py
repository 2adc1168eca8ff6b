"""The application that hosts a model, asked by message to make another version live."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, runtime_checkable

from watchkeeper.handlers.command import Commander
from watchkeeper.handlers.errors import Refused
from watchkeeper.handlers.types import Phase


@runtime_checkable
class Traffic(Protocol):
    """What the stream of predictions shows of a model's versions, as fresh as it is."""

    def live_version(self, model: str) -> str | None:
        """The version that answers now; None before the first prediction."""

    def known_versions(self, model: str) -> list[str]:
        """The versions that have answered, oldest first."""


@dataclass
class Application:
    """A Deployer that asks the application with the verb `switch` and waits for its answer.

    What is live is what the stream shows. For `settle` seconds after the application said that it
    has switched, its word is believed while the stream still shows the version from before. The
    answer is awaited for `timeout` seconds.
    """

    commander: Commander
    traffic: Traffic
    timeout: float = 60.0
    settle: float = 60.0
    clock: Callable[[], float] = time.monotonic
    _said: dict[str, _Promise] = field(default_factory=dict)

    def current(self, model: str) -> str | None:
        return self.verify(model)

    def available(self, model: str) -> list[str]:
        return self.traffic.known_versions(model)

    def switch(self, model: str, version: str, key: str) -> None:
        before = self.traffic.live_version(model)
        self.commander.request(key, model, "switch", {"version": version}, self.timeout)
        answer = self.commander.answer(key, self.timeout)
        if answer is None:
            return
        if answer.phase is not Phase.SUCCESSFUL:
            raise Refused(f"the application answered {answer.phase}: {answer.reason}")
        self._said[model] = _Promise(before, version, self.clock() + self.settle)

    def verify(self, model: str) -> str | None:
        live = self.traffic.live_version(model)
        promise = self._said.get(model)
        if promise is None:
            return live
        if live == promise.before and self.clock() < promise.until:
            return promise.version
        self._said.pop(model, None)
        return live


class _Promise(NamedTuple):
    before: str | None
    version: str
    until: float
