"""Makes a retrained candidate live once it has proved better."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from watchkeeper.handlers.left_out import LeftOut
from watchkeeper.handlers.planning import new_action, planned
from watchkeeper.handlers.scorer import Scorer, preflight
from watchkeeper.handlers.switching import Deployer, back, forward
from watchkeeper.handlers.types import (
    Action,
    ActionState,
    Context,
    Incident,
    Outcome,
)


@dataclass
class Promote:
    """Plans a promotion after a retraining of the same incident that gave a better candidate.

    A finished retraining carries `candidate`, `better` and `trained_until` in its `args`; the
    preflight check compares only on examples newer than the last one the candidate learned from,
    and not on labels of sources that it learned nothing from.
    """

    name: ClassVar[str] = "promote"
    undoable: ClassVar[bool] = True

    deployer: Deployer
    scorer: Scorer | None = None
    clock: Callable[[], float] = time.time

    def plan(self, incident: Incident, context: Context) -> Action | None:
        retraining = _better(incident, context)
        if retraining is None or planned(incident, context, self.name):
            return None
        candidate = str(retraining.args["candidate"])
        live = context.live_version
        if candidate == live:
            return None
        return new_action(
            incident,
            context,
            self.name,
            f"make the retrained {candidate} live instead of {live}",
            {
                "from_version": live,
                "to_version": candidate,
                "trained_until": retraining.args.get("trained_until"),
            }
            | LeftOut.of_args(retraining.args).args(),
            target=candidate,
        )

    def preflight(self, action: Action) -> Outcome:
        until = action.args.get("trained_until")
        since = float(until) if isinstance(until, int | float) else None
        return preflight(self.deployer, self.scorer, action, self.clock(), since)

    def run(self, action: Action) -> Outcome:
        return forward(self.deployer, action, self.clock())

    def undo(self, action: Action) -> Outcome:
        return back(self.deployer, action, self.clock())


def _better(incident: Incident, context: Context) -> Action | None:
    for action in context.actions:
        ours = action.incident_id == incident.id and action.kind == "retrain"
        done = action.state is ActionState.SUCCESSFUL and action.args.get("better") is True
        if ours and done and isinstance(action.args.get("candidate"), str):
            return action
    return None
