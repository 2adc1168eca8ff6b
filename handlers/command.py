"""Orders of the user's own to the application that hosts a model."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol, runtime_checkable

import msgspec

from watchkeeper.detectors.types import Scalar
from watchkeeper.handlers.planning import new_action, planned
from watchkeeper.handlers.types import (
    Action,
    Context,
    Incident,
    Kind,
    Outcome,
    Phase,
)

_VERB = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_WORD = re.compile(r"[A-Za-z0-9._/][A-Za-z0-9._/-]{0,127}")


@runtime_checkable
class Commander(Protocol):
    """Carries orders to applications and their answers back."""

    def request(
        self, key: str, model: str, verb: str, args: Mapping[str, Scalar], timeout: float
    ) -> None:
        """Publishes an order that expires soon after `timeout` seconds, for which its answer is
        awaited. It may be published again: applications obey a `key` once."""

    def answer(self, key: str, timeout: float) -> Outcome | None:
        """The application's answer to the order `key`; None when none came in `timeout` seconds."""


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to ask for when an incident's fault is of `kind`, and how to take it back, if possible.

    Verbs and values are words, so that nothing an application does with them can be injected.
    """

    kind: Kind
    verb: str
    args: dict[str, Scalar] = {}
    undo_verb: str = ""

    def __post_init__(self) -> None:
        for verb in (self.verb, self.undo_verb or "none"):
            if not _VERB.fullmatch(verb):
                raise ValueError(f"verb {verb!r}: expected lower-case letters, digits, _ and -")
        for name, value in self.args.items():
            if not _plain(name) or (isinstance(value, str) and not _plain(value)):
                raise ValueError(f"argument {name!r}: expected letters, digits and . _ / - only")


@dataclass
class Command:
    """Plans the first of the user's orders that fits the fault, once for an incident.

    `timeout` is how long the application may take to answer, in seconds.
    """

    name: ClassVar[str] = "command"
    undoable: ClassVar[bool] = True

    commander: Commander
    orders: tuple[Order, ...]
    timeout: float = 60.0
    clock: Callable[[], float] = time.time

    def plan(self, incident: Incident, context: Context) -> Action | None:
        order = next((o for o in self.orders if o.kind is incident.fault.kind), None)
        if order is None or planned(incident, context, self.name):
            return None
        place = incident.fault.place
        return new_action(
            incident,
            context,
            self.name,
            f"ask the application to {order.verb}",
            {
                **order.args,
                "verb": order.verb,
                "undo_verb": order.undo_verb,
                "place": place if _plain(place) else "",
            },
            target=order.verb,
        )

    def preflight(self, action: Action) -> Outcome:
        return self._outcome(action, Phase.SUCCESSFUL, "the user configured it", "preflight")

    def run(self, action: Action) -> Outcome:
        return self._asked(action, action.id, str(action.args["verb"]), "run")

    def undo(self, action: Action) -> Outcome:
        verb = str(action.args["undo_verb"])
        if not verb:
            reason = f"no order takes {action.args['verb']} back"
            return self._outcome(action, Phase.INCONCLUSIVE, reason, "undo")
        return self._asked(action, f"{action.id}:undo", verb, "undo")

    def _asked(self, action: Action, key: str, verb: str, step: Literal["run", "undo"]) -> Outcome:
        args = {k: v for k, v in action.args.items() if k not in ("verb", "undo_verb")}
        self.commander.request(key, action.model, verb, args, self.timeout)
        answer = self.commander.answer(key, self.timeout)
        if answer is None:
            reason = f"no answer to {verb} in {self.timeout:g} s"
            return self._outcome(action, Phase.INCONCLUSIVE, reason, step)
        return self._outcome(action, answer.phase, answer.reason, step)

    def _outcome(
        self,
        action: Action,
        phase: Phase,
        reason: str,
        step: Literal["preflight", "run", "undo"],
    ) -> Outcome:
        return Outcome(action.id, action.model, phase, reason, self.clock(), step)


def _plain(text: str) -> bool:
    """A word that neither a shell nor an option parser could take for something else."""
    return _WORD.fullmatch(text) is not None
