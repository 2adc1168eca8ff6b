"""Is the machine under the model at fault?"""

from __future__ import annotations

from typing import ClassVar

from watchkeeper.handlers.rules import facts
from watchkeeper.handlers.types import Context, Evidence, Incident, Kind


class Host:
    """A host metric left its range."""

    kind: ClassVar[Kind] = Kind.HOST

    def weigh(self, incident: Incident, context: Context) -> list[Evidence]:
        strained = facts.harmful(facts.of(incident, "metrics"))
        if not strained:
            return [Evidence(Kind.HOST, -2.0, "no host metric is out of its range")]
        found = [Evidence(Kind.HOST, 4.0, f"host metrics out of range: {facts.targets(strained)}")]
        failing = facts.failing(incident)
        if failing and min(f.since for f in strained) <= min(f.since for f in failing):
            found.append(Evidence(Kind.HOST, 1.0, "the host was strained before requests were"))
        return found

    def place(self, incident: Incident, context: Context) -> str:
        return facts.targets(facts.harmful(facts.of(incident, "metrics"))) or "host"
