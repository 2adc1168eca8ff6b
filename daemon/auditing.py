"""Who did what to what, as lines of the audit: people's commands, and the actions' fate."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from watchkeeper.daemon.core.step import Renewed, Step
from watchkeeper.daemon.storage.values import AuditEntry
from watchkeeper.detectors.types import Command
from watchkeeper.handlers.types import Action, ActionState

log = structlog.get_logger()

DAEMON = "watchkeeper"  # the actor of what no person asked for
# A plan is not yet a deed, and a held one waits for a person's word, which is a line of its own.
NOT_YET = (ActionState.PLANNED, ActionState.HELD)


def audited(step: Step, commands: Sequence[Command], at: float) -> list[AuditEntry]:
    """A line for each command that was obeyed or refused, which is logged too, and for each new
    state of an action but those before its permission, and each reference learned anew."""
    answered = [_answered(c, step.answers[c.id], at) for c in commands if c.id in step.answers]
    moved = [_moved(a, at) for a in step.action_changes if a.state not in NOT_YET]
    return answered + moved + [_renewed(each, at) for each in step.renewed]


def _answered(command: Command, answer: str, at: float) -> AuditEntry:
    actor, verb, target = command.actor or "unnamed", command.command, command.target
    log.info("command", id=command.id, verb=verb, target=target, actor=actor, answer=answer)
    why = f" ({command.reason})" if command.reason else ""
    return AuditEntry(at, actor, verb, target, f"{answer}{why}")


def _renewed(renewed: Renewed, at: float) -> AuditEntry:
    asked = f"asked for by {renewed.by}" if renewed.by else "since it was deployed and healthy"
    why = f"{asked} with {renewed.incident}" if renewed.incident else asked
    return AuditEntry(at, DAEMON, "rebaselined", renewed.model, f"{renewed.text}, {why}")


def _moved(action: Action, at: float) -> AuditEntry:
    by = action.approved_by if action.state is ActionState.PERMITTED else ""
    detail = f"{action.kind} of {action.model}: {action.reason}"
    return AuditEntry(at, by or DAEMON, action.state.value, action.id, detail)
