"""One handler or target a kind for the executor, another behind it for each model."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from msgspec.structs import replace

from watchkeeper.handlers.retrain.retrain import Registrar
from watchkeeper.handlers.switching import Deployer
from watchkeeper.handlers.targets.registry import NewVersion
from watchkeeper.handlers.types import Action, Context, Handler, Incident, Outcome


@dataclass
class HandlerByModel:
    """A Handler that asks the model's own, made at its first use. Thread-safe.

    Those of the `most` models that were used last are kept; another one is made anew.
    """

    name: str
    undoable: bool
    make: Callable[[str], Handler]
    most: int = 1_000
    _made: dict[str, Handler] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def plan(self, incident: Incident, context: Context) -> Action | None:
        return self._of(incident.model).plan(incident, context)

    def preflight(self, action: Action) -> Outcome:
        return self._of(action.model).preflight(action)

    def run(self, action: Action) -> Outcome:
        return self._of(action.model).run(action)

    def undo(self, action: Action) -> Outcome:
        return self._of(action.model).undo(action)

    def _of(self, model: str) -> Handler:
        with self._lock:
            found = self._made.pop(model, None) or self.make(model)
            self._made[model] = found  # the last one again
            if len(self._made) > self.most:
                del self._made[next(iter(self._made))]
            return found


@dataclass
class Named:
    """A Deployer for a model that its target knows by another name."""

    target: Deployer
    name: str

    def current(self, model: str) -> str | None:
        return self.target.current(self.name)

    def available(self, model: str) -> list[str]:
        return self.target.available(self.name)

    def switch(self, model: str, version: str, key: str) -> None:
        self.target.switch(self.name, version, key)

    def verify(self, model: str) -> str | None:
        return self.target.verify(self.name)


@dataclass
class RegisteredTwice:
    """A Registrar that keeps a candidate's file in our own registry under the name that the
    other one, where the model is called `name`, gave it."""

    other: Registrar
    own: Registrar
    name: str

    def register(self, model: str, new: NewVersion, key: str) -> str:
        version = self.other.register(self.name, new, key)
        return self.own.register(model, replace(new, version=version), key)
