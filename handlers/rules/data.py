"""Is what reaches the model at fault?"""

from __future__ import annotations

from typing import ClassVar

from watchkeeper.detectors.types import Finding
from watchkeeper.handlers.rules import facts
from watchkeeper.handlers.types import Context, Evidence, Incident, Kind


class Data:
    """Broken features settle it; drift that began with the harm hints at it."""

    kind: ClassVar[Kind] = Kind.DATA

    def weigh(self, incident: Incident, context: Context) -> list[Evidence]:
        broken = self._named(incident)
        if broken:
            return [Evidence(Kind.DATA, 4.5, f"features are broken: {facts.targets(broken)}")]
        drifted = facts.drift(incident, context)
        if not drifted:
            return [Evidence(Kind.DATA, -2.0, "no feature is broken or drifted with the harm")]
        if facts.untested(incident, context):
            return [Evidence(Kind.DATA, 0.0, "inputs drifted, but a new version is live too")]
        text = f"inputs drifted as the harm began: {facts.targets(drifted)}"
        return [Evidence(Kind.DATA, 1.0, text)]

    def place(self, incident: Incident, context: Context) -> str:
        found = self._named(incident) or facts.drift(incident, context)
        return facts.targets(sorted(found, key=lambda f: -abs(f.statistic))) or "inputs"

    def _named(self, incident: Incident) -> list[Finding]:
        """The broken features; the schema as a whole only where no feature is named."""
        broken = facts.quality(incident)
        named = [f for f in broken if not f.series.target.startswith("schema:")]
        return named or broken
