"""One window of one model, while it is being closed."""

from __future__ import annotations

from dataclasses import dataclass, field

from watchkeeper.daemon.core.model import ModelState
from watchkeeper.daemon.core.policy import ModelPolicy
from watchkeeper.detectors.mistakes.mistakes import Seen
from watchkeeper.detectors.suite import Watch
from watchkeeper.detectors.types import Finding, Series, Severity, Window

LABELLED_MIN = 30  # labels a window must have to show a version healthy

Key = tuple[str, str, str]  # signal, target, detector
Order = tuple[str, str, int, int, int]  # version, signal, group, column, watch


@dataclass(slots=True)
class Closing:
    """One window of one model, while it is being closed.

    `answering` holds how many predictions each version made, and the live one in any case.
    `found` are the findings in a fixed order, `verdicts` what was judged of each version (True:
    found). There was enough to see whether versions are healthy in the predictions of those `seen`
    and in the labels of those `known`. `drifted` is what was found of features, and `looked` which
    of their targets could be judged by version, while there is a mistake open. `statements` say
    what samples that ended at a time are about.
    """

    model: ModelState
    policy: ModelPolicy
    index: int
    window: Window
    answering: dict[str, int] = field(default_factory=dict)
    slots: list[int] = field(default_factory=list)
    found: list[Finding] = field(default_factory=list)
    verdicts: dict[str, dict[Key, bool]] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    known: set[str] = field(default_factory=set)
    drifted: list[Seen] = field(default_factory=list)
    looked: dict[str, set[str]] = field(default_factory=dict)
    statements: dict[tuple[Series, float], str] = field(default_factory=dict)
    _ordered: list[tuple[Order, Finding]] = field(default_factory=list)

    @property
    def healthy(self) -> set[str]:
        """The versions that had nothing harmful, by labels where the model has any."""
        harmed = {f.series.version for f in self.found if f.severity is not Severity.INFO}
        return (self.known if self.model.labelled else self.seen) - harmed

    def add(self, order: Order, finding: Finding) -> None:
        """Takes a finding in."""
        self._ordered.append((order, finding))

    def settle(self) -> None:
        """Puts the findings in their order."""
        self._ordered.sort(key=lambda each: each[0])
        self.found = [finding for _, finding in self._ordered]

    def judged(self, series: Series, watch: Watch, found: bool) -> None:
        """Notes a verdict on what would be harm."""
        known = self.verdicts.setdefault(series.version, {})
        key = (series.signal, series.target, watch.detector)
        known[key] = known.get(key, False) or found


@dataclass(frozen=True, slots=True)
class Row:
    """A window of one version: which closing it is of, its place in the arrays."""

    closing: Closing
    member: int
    version: str
    slot: int
