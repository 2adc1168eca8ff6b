"""Trains a new version on the newest labelled examples, in a process that outlives the daemon."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal, Protocol, runtime_checkable

import msgspec

from watchkeeper.detectors.types import Scalar
from watchkeeper.handlers.errors import Refused, Unreachable
from watchkeeper.handlers.examples import Examples, ExampleSource
from watchkeeper.handlers.left_out import LeftOut
from watchkeeper.handlers.planning import new_action, planned
from watchkeeper.handlers.retrain.dataset import MODEL, RESULT, BadJob, Result, Task, write
from watchkeeper.handlers.retrain.dataset import read_result as read
from watchkeeper.handlers.retrain.screen import objection
from watchkeeper.handlers.rollback import Rollback
from watchkeeper.handlers.rules.labels import doubted
from watchkeeper.handlers.targets.registry import Artefact, NewVersion
from watchkeeper.handlers.types import (
    Action,
    ActionState,
    Context,
    Incident,
    Kind,
    Outcome,
    Phase,
)

# How the reason of an action begins that was refused for no other cause than the mode.
OBSERVED = "mode is observe"
BUILT_IN = (sys.executable, "-P", "-m", "watchkeeper.handlers.retrain.trainer")


class JobFailed(Exception):
    """A job ended without its product; the message says how."""


class JobOrder(msgspec.Struct, frozen=True):
    """One job to run: `key` names it for ever, `argv` gets the job's folder as last argument.

    It has succeeded when it leaves the file `product` in its folder.
    """

    key: str
    model: str
    action_id: str
    kind: str
    argv: tuple[str, ...]
    product: str


@runtime_checkable
class Jobs(Protocol):
    """Runs long work in processes of its own."""

    def run(self, order: JobOrder, prepare: Callable[[Path], None]) -> Path:
        """Waits for the job's end; its folder. Begins it only if it was never begun before.

        `prepare` fills the folder before the process begins. Raises `JobFailed`, and `Interrupted`
        when the daemon stops; the job goes on then.
        """


@runtime_checkable
class Registrar(Protocol):
    """Where candidates are registered; that alone makes none of them live."""

    def register(self, model: str, new: NewVersion, key: str) -> str:
        """Registers once for a `key`; the version's name there, which may differ from the asked."""


@dataclass
class Retrain:
    """Plans a retraining when a model is at fault and there is nothing healthy to go back to.

    `command` is the trainer's argv, ours by default. It learns from the newest `limit` examples
    since the fault began, as older ones tell of a world that has gone, and none that a source of
    labels told which stands out; `positive` names each binary model's positive class.
    """

    name: ClassVar[str] = "retrain"
    undoable: ClassVar[bool] = False

    rollback: Rollback
    examples: ExampleSource
    jobs: Jobs
    registrar: Registrar
    command: tuple[str, ...] = BUILT_IN
    examples_min: int = 1_000
    limit: int = 50_000
    positive: Mapping[str, str] = field(default_factory=dict)
    clock: Callable[[], float] = time.time

    def plan(self, incident: Incident, context: Context) -> Action | None:
        if incident.fault.kind is not Kind.MODEL or planned(incident, context, self.name):
            return None
        if context.examples < self.examples_min or self._can_go_back(incident, context):
            return None
        live = context.live_version
        out = LeftOut.of(doubted(incident, context), (each.name for each in context.sources))
        but = f", but for the labels of {out}" if out.sources else ""
        args: dict[str, Scalar] = {
            "from_version": live,
            "examples": context.examples,
            "since": incident.since,
        }
        return new_action(
            incident,
            context,
            self.name,
            f"train a successor of {live} on {context.examples} new examples{but}",
            args | out.args(),
            target=live,
        )

    def preflight(self, action: Action) -> Outcome:
        """Only examples that are fit to learn from; an attack may have made them."""
        examples = self._since(action)
        left_out = LeftOut.of_args(action.args)
        fit = examples.take(left_out.kept(examples))
        out = len(examples) - len(fit)
        but = f"; {out} by labels of {left_out} are left out" if out else ""
        why_not = objection(fit)
        if why_not:
            return self._outcome(action, Phase.FAILED, why_not + but, "preflight")
        return self._outcome(action, Phase.SUCCESSFUL, f"the examples are fit{but}", "preflight")

    def run(self, action: Action) -> Outcome:
        order = JobOrder(action.id, action.model, action.id, self.name, self.command, RESULT)
        try:
            folder = self.jobs.run(order, lambda folder: self._prepare(folder, action))
            return self._ended(action, folder, read(folder))
        except (JobFailed, BadJob, Refused) as error:
            return self._outcome(action, Phase.FAILED, str(error))
        except Unreachable as error:
            return self._outcome(action, Phase.ERROR, str(error))

    def undo(self, action: Action) -> Outcome:
        reason = "a retraining changes nothing that is live"
        return self._outcome(action, Phase.INCONCLUSIVE, reason, "undo")

    def _can_go_back(self, incident: Incident, context: Context) -> bool:
        """Whether a rollback is the remedy: possible, and nothing spoke against it so far.

        One that was only observed would have been done, so that nothing else would.
        """
        if self.rollback.target(incident, context) is None:
            return False
        ours = [a for a in context.actions if a.incident_id == incident.id]
        tried = [a for a in ours if a.kind == self.rollback.name]
        return not tried or any(
            a.state is not ActionState.REFUSED or a.reason.startswith(OBSERVED) for a in tried
        )

    def _prepare(self, folder: Path, action: Action) -> None:
        parent = str(action.args["from_version"])
        task = Task(
            model=action.model,
            parent=parent,
            candidate=f"{parent[:100]}.r-{action.id.removeprefix('act-')}",
            numeric=(),
            categorical=(),
            positive=self.positive.get(action.model),
            dataset_digest="",
        )
        examples = self._since(action)
        write(folder, task, examples.take(LeftOut.of_args(action.args).kept(examples)))

    def _since(self, action: Action) -> Examples:
        newest, since = self.examples.newest(action.model, self.limit), action.args.get("since")
        return newest.take(newest.at >= since) if isinstance(since, int | float) else newest

    def _ended(self, action: Action, folder: Path, result: Result | None) -> Outcome:
        if result is None or result.refused:
            reason = "the trainer gave no result" if result is None else result.refused
            return self._outcome(action, Phase.FAILED, reason)
        figures = (
            f"{result.measure} {result.candidate_loss:.4g} against {result.current_loss:.4g}"
            f" (n={result.n}, p={result.p:.3g})"
        )
        if not result.better:
            reason = f"the candidate is no better: {figures}"
            return self._outcome(action, Phase.FAILED, reason, result=_told(result, folder))
        artefact = Artefact(str(folder / MODEL), result.digest)
        new = NewVersion(result.candidate, artefact, result.parent, result.dataset_digest)
        candidate = self.registrar.register(action.model, new, action.id)
        told = {**_told(result, folder), "candidate": candidate}
        reason = f"{candidate} is better: {figures}"
        return self._outcome(action, Phase.SUCCESSFUL, reason, result=told)

    def _outcome(
        self,
        action: Action,
        phase: Phase,
        reason: str,
        step: Literal["preflight", "run", "undo"] = "run",
        result: dict[str, Scalar] | None = None,
    ) -> Outcome:
        at = self.clock()
        return Outcome(action.id, action.model, phase, reason, at, step, result or {})


def _told(result: Result, folder: Path) -> dict[str, Scalar]:
    return {
        "candidate": result.candidate,
        "better": result.better,
        "digest": result.digest,
        "uri": str(folder / MODEL),
        "trained_until": result.trained_until,
        "dataset_digest": result.dataset_digest,
        "measure": result.measure,
        "candidate_loss": result.candidate_loss,
        "current_loss": result.current_loss,
        "p": result.p,
        "n": result.n,
    }
