"""The simulated application that hosts the models: it obeys orders and says what it did."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from watchkeeper.daemon.demo.faults import Script
from watchkeeper.daemon.demo.models import SimulatedModel
from watchkeeper.daemon.demo.traffic import SLOT
from watchkeeper.detectors.types import Change, Command, Event, EventKind, Scalar, moment
from watchkeeper.handlers.types import Phase

Said = tuple[EventKind, Event]


class Order(msgspec.Struct, frozen=True):
    """What an `actions` message asks of the application; `key` is obeyed only once, and never
    from `expires_at` on."""

    key: str
    model: str
    verb: str
    args: dict[str, Scalar] = {}
    expires_at: float = math.inf


@dataclass
class Application:
    """Knows which version of each model answers when, and changes it on demand.

    A change holds from the next slot on: an application needs a moment to load a version.
    """

    models: Mapping[str, SimulatedModel]
    script: Script
    _live: dict[str, list[tuple[float, str]]] = field(default_factory=dict)
    _answered: dict[str, Command] = field(default_factory=dict)

    @classmethod
    def of(cls, models: Iterable[SimulatedModel], script: Script) -> Application:
        """The application with each model's first version live."""
        known = {model.name: model for model in models}
        live = {name: [(-math.inf, model.version)] for name, model in known.items()}
        return cls(known, script, live)

    def version_of(self, model: str, at: float) -> str:
        """The version that answers at a time."""
        return next(version for since, version in reversed(self._live[model]) if since <= at)

    def deploy(self, model: str, version: str, at: float, by: str = "release-pipeline") -> Change:
        """Makes a version live from the next slot on, and says so."""
        previous = self._live[model][-1][1]
        begin = self.script.start + math.ceil((at - self.script.start) / SLOT) * SLOT
        self._live[model].append((begin, version))
        return Change(
            id=f"deploy-{model}-{version}-{len(self._live[model])}",
            time=moment(begin),
            model_name=model,
            kind="rollback" if by == "watchkeeper" else "deployment",
            model_version=version,
            previous_version=previous,
            description=f"{model} {previous} -> {version}",
            actor=by,
        )

    def obey(self, order: Order, at: float) -> list[Said]:
        """Does what an order asks, once, and answers it: the events to publish."""
        known = self._answered.get(order.key)
        if known is not None:
            return [("command", known)]
        said: list[Said] = []
        if order.model not in self.models:
            answer = _answer(order, at, Phase.FAILED, f"no model {order.model} is hosted here")
        elif at >= order.expires_at:
            answer = _answer(order, at, Phase.FAILED, "the order came too late")
        elif order.verb == "switch":
            answer = self._switch(order, at, said)
        else:
            answer = self._remedy(order, at)
        self._answered[order.key] = answer
        return [*said, ("command", answer)]

    def _switch(self, order: Order, at: float, said: list[Said]) -> Command:
        version = str(order.args.get("version", ""))
        if version not in self.models[order.model].versions:
            return _answer(order, at, Phase.FAILED, f"there is no version {version!r}")
        if self._live[order.model][-1][1] == version:
            return _answer(order, at, Phase.SUCCESSFUL, f"{version} was live already")
        said.append(("change", self.deploy(order.model, version, at, by="watchkeeper")))
        self.script.remedy(order.model, "rollback", at)
        return _answer(order, at, Phase.SUCCESSFUL, f"{version} is live")

    def _remedy(self, order: Order, at: float) -> Command:
        if order.verb not in ("restart", "block"):
            return _answer(order, at, Phase.FAILED, f"does not know how to {order.verb}")
        fault = self.script.remedy(order.model, order.verb, at)
        done = "did it" if fault is None else fault.healed
        return _answer(order, at, Phase.SUCCESSFUL, done)


def _answer(order: Order, at: float, phase: Phase, reason: str) -> Command:
    return Command(
        id=f"answer-{order.key}",
        time=moment(at),
        command="outcome",
        target=order.key,
        model_name=order.model,
        args={"phase": phase.value, "reason": reason},
        actor="demo-application",
    )
