"""Making another version live, once, whatever crashes on the way."""

from __future__ import annotations

from typing import Literal, Protocol, runtime_checkable

import stamina

from watchkeeper.handlers.errors import Refused, Unreachable
from watchkeeper.handlers.types import Action, Outcome, Phase

Step = Literal["preflight", "run", "undo"]
READ_BACK_S = 10.0  # for so long a target that fell silent behind an order is asked what is live


@runtime_checkable
class Deployer(Protocol):
    """What decides which version of a model is live: a registry, a server or an application.

    Every method raises `Unreachable` when there is no answer in time and `Refused` when the answer
    is no. Nothing is cached: each answer is as fresh as the target can give it.
    """

    def current(self, model: str) -> str | None:
        """The version that is live now; None when the target does not know."""

    def available(self, model: str) -> list[str]:
        """The versions that could be made live."""

    def switch(self, model: str, version: str, key: str) -> None:
        """Makes `version` live. Does nothing more when it was already called with this `key`."""

    def verify(self, model: str) -> str | None:
        """The version that really is live after a switch, read back; None: nobody can tell."""


def move(
    deployer: Deployer, action: Action, source: str, target: str, *, step: Step, at: float
) -> Outcome:
    """Takes the action's model from `source` to `target`, looking before and after.

    Safe to call again after a crash: a model that is already there is left alone, and one that is
    neither at `source` nor at `target` was changed by somebody else and is not touched.
    """
    try:
        phase, reason = _moved(deployer, action, source, target, step)
    except Refused as error:
        phase, reason = Phase.FAILED, str(error)
    except Unreachable as error:
        phase, reason = Phase.ERROR, str(error)
    return Outcome(action.id, action.model, phase, reason, at, step)


def forward(deployer: Deployer, action: Action, at: float) -> Outcome:
    """Takes the action's model from its `from_version` to its `to_version`."""
    source, target = ends(action)
    return move(deployer, action, source, target, step="run", at=at)


def back(deployer: Deployer, action: Action, at: float) -> Outcome:
    """Undoes `forward`."""
    source, target = ends(action)
    return move(deployer, action, target, source, step="undo", at=at)


def ends(action: Action) -> tuple[str, str]:
    """The versions that an action leads from and to."""
    return str(action.args["from_version"]), str(action.args["to_version"])


def obstacle(deployer: Deployer, model: str, source: str, target: str) -> str:
    """Why the model cannot be taken from `source` to `target` now; empty when it can.

    Raises `Unreachable` when nobody can tell.
    """
    try:
        live, versions = deployer.current(model), deployer.available(model)
    except Refused as error:
        return str(error)
    if live != source:
        return f"{live} is live instead of {source}"
    return "" if target in versions else f"{target} is not available"


def _moved(
    deployer: Deployer, action: Action, source: str, target: str, step: Step
) -> tuple[Phase, str]:
    model = action.model
    live = deployer.current(model)
    if live is None:
        return Phase.INCONCLUSIVE, "the target does not say which version is live"
    if live == target and _read_back(deployer, model) == target:
        return Phase.SUCCESSFUL, f"{target} is already live"
    if live not in (source, target):
        return Phase.INCONCLUSIVE, f"{live} is live instead of {source}: somebody else changed it"
    if target not in deployer.available(model):
        return Phase.FAILED, f"{target} is not available"
    return _switched(deployer, model, source, target, _key(action, step))


def _switched(
    deployer: Deployer, model: str, source: str, target: str, key: str
) -> tuple[Phase, str]:
    lost = ""
    try:
        deployer.switch(model, target, key)
    except Unreachable as error:
        # The order may have arrived although its answer did not: only reading back can tell.
        lost = f" ({error})"
    try:
        live = _read_back(deployer, model)
    except Unreachable as error:
        return Phase.ERROR, f"asked for {target}{lost}, but what is live cannot be read: {error}"
    if live == target:
        return Phase.SUCCESSFUL, f"{target} is live instead of {source}"
    if live == source and lost:
        return Phase.ERROR, f"{source} is still live{lost}"
    shown = "nobody can tell which version" if live is None else live
    return Phase.INCONCLUSIVE, f"asked for {target}, but {shown} is live{lost}"


def _read_back(deployer: Deployer, model: str) -> str | None:
    """The version that is live; asks again for a while. Raises the last `Unreachable`."""
    patient = stamina.RetryingCaller(
        attempts=None, timeout=READ_BACK_S, wait_initial=0.2, wait_max=2.0
    )
    return patient.on(Unreachable)(deployer.verify, model)


def _key(action: Action, step: Step) -> str:
    return action.id if step == "run" else f"{action.id}:{step}"
