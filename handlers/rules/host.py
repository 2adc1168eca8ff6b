"""Is the machine under the model at fault?"""

from __future__ import annotations

import re
from typing import ClassVar

from watchkeeper.detectors.types import Finding
from watchkeeper.handlers.rules import facts
from watchkeeper.handlers.types import Context, Evidence, Incident, Kind

# What resources are called by OpenTelemetry's conventions and by what agents send.
_RESOURCES = re.compile(
    r"(system|process|container|hw|host|node|cpu|gpu|mem|memory|swap|disk|diskio|filesystem|load\d*|net"
    r"|network)(?![a-z])",
    re.IGNORECASE,
)


class Host:
    """A host metric left its range: one that names its host, or a resource in its name. Of others,
    such as orders an hour, nothing is known but that they changed."""

    kind: ClassVar[Kind] = Kind.HOST

    def weigh(self, incident: Incident, context: Context) -> list[Evidence]:
        strained, others = _strained(incident)
        if not strained:
            none = Evidence(Kind.HOST, -2.0, "no host metric is out of its range")
            text = f"names no host, so it tells of none: {facts.targets(others)}"
            return [none, Evidence(Kind.HOST, 0.0, text)] if others else [none]
        found = [Evidence(Kind.HOST, 4.0, f"host metrics out of range: {facts.targets(strained)}")]
        failing = facts.failing(incident)
        if failing and min(f.since for f in strained) <= min(f.since for f in failing):
            found.append(Evidence(Kind.HOST, 1.0, "the host was strained before requests were"))
        return found

    def place(self, incident: Incident, context: Context) -> str:
        return facts.targets(_strained(incident)[0]) or "host"


def _strained(incident: Incident) -> tuple[list[Finding], list[Finding]]:
    """The metrics of hosts that left their range, and the other metrics that did."""
    found = facts.harmful(facts.of(incident, "metrics"))
    strained = [f for f in found if "@" in f.series.target or _RESOURCES.match(f.series.target)]
    return strained, [f for f in found if f not in strained]
