"""Two versions of a model, judged on the same newest labelled examples."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from watchkeeper.handlers.comparing import Comparison
from watchkeeper.handlers.errors import Unreachable
from watchkeeper.handlers.left_out import LeftOut
from watchkeeper.handlers.switching import Deployer, ends, obstacle
from watchkeeper.handlers.types import Action, Outcome, Phase

NOTHING = LeftOut()


class Unscorable(Exception):
    """Two versions cannot be compared; the message says what is missing."""


@runtime_checkable
class Scorer(Protocol):
    """Compares two versions of a model on today's captured inputs."""

    def compare(
        self,
        model: str,
        current: str,
        target: str,
        since: float | None = None,
        left_out: LeftOut = NOTHING,
    ) -> Comparison:
        """`target` against `current` on labelled examples newer than `since` (event time, s), but
        for what is left out.

        Raises `Unscorable` without an artefact or with too few examples.
        """


def preflight(
    deployer: Deployer,
    scorer: Scorer | None,
    action: Action,
    at: float,
    since: float | None = None,
) -> Outcome:
    """Whether a switch from the action's `from_version` to its `to_version` is safe now.

    It must be possible, and only a version that is not worse on today's data may go live; labels
    that the action leaves out say nothing of that. A target that does not answer has said neither
    yes nor no: ERROR, so that a person decides.
    """
    try:
        phase, reason = _checked(deployer, scorer, action, since)
    except Unreachable as error:
        phase, reason = Phase.ERROR, str(error)
    return Outcome(action.id, action.model, phase, reason, at, "preflight")


def _checked(
    deployer: Deployer, scorer: Scorer | None, action: Action, since: float | None
) -> tuple[Phase, str]:
    (current, target), left_out = ends(action), LeftOut.of_args(action.args)
    why_not = obstacle(deployer, action.model, current, target)
    if why_not:
        return Phase.FAILED, why_not
    if scorer is None:
        return Phase.INCONCLUSIVE, "nothing compares the versions: a person must decide"
    try:
        comparison = scorer.compare(action.model, current, target, since, left_out)
    except Unscorable as error:
        return Phase.INCONCLUSIVE, f"{error}: a person must decide"
    return _judged(comparison, current, target, left_out)


def _judged(
    comparison: Comparison, current: str, target: str, left_out: LeftOut
) -> tuple[Phase, str]:
    but = f", without labels of {left_out}" if left_out.sources else ""
    if comparison.verdict == "worse":
        return Phase.FAILED, f"{target} is worse on today's data{but}: {comparison}"
    return Phase.SUCCESSFUL, f"{target} against {current} on today's data{but}: {comparison}"
