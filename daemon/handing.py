"""Hands committed actions to who performs them."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from watchkeeper.daemon.actions.executor import Submitted
from watchkeeper.daemon.core.guards import PENDING
from watchkeeper.handlers.types import Action, ActionState, Outcome

log = structlog.get_logger()

UNDER_WAY = (ActionState.PERMITTED, ActionState.STARTED, ActionState.UNDOING)


class Actor(Protocol):
    """Performs actions; the executor."""

    def submit(self, action: Action) -> object:
        """Takes up what the action's state asks for."""

    def outcomes(self) -> list[Outcome]:
        """The outcomes since the last call."""


@dataclass
class Handing:
    """Gives actions to the actor, whose claims keep it from doing one twice. What it has no room
    for is offered again, in its newest committed form."""

    actor: Actor
    _untaken: dict[str, Action] = field(default_factory=dict)

    def give(self, actions: Iterable[Action]) -> None:
        """Hands over those of the actions that ask for something to be done."""
        for action in actions:
            self._untaken.pop(action.id, None)
            if not _asks(action):
                continue
            if self.actor.submit(action) in (Submitted.FULL, Submitted.CLOSED):
                self._untaken[action.id] = action
                if len(self._untaken) == 1:
                    log.warning("the executor takes no more; trying again", action=action.id)

    def give_again(self) -> None:
        """Offers what was not taken."""
        if self._untaken:
            self.give(list(self._untaken.values()))

    def keep_only(self, models: Container[str]) -> None:
        """Those of models that are no longer watched here are for whoever does."""
        self._untaken = {i: a for i, a in self._untaken.items() if a.model in models}


def under_way(actions: Mapping[str, Action]) -> bool:
    """Whether the executor has been given one of them, or will be, whose end is not known."""
    return any(map(_asks, actions.values()))


def _asks(action: Action) -> bool:
    """Whether there is something for the executor to do."""
    pending = action.state is ActionState.PLANNED and action.reason == PENDING
    return pending or action.state in UNDER_WAY
