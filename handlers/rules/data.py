"""Is what reaches the model at fault?"""

from __future__ import annotations

from typing import ClassVar

from watchkeeper.detectors.mistakes import columns
from watchkeeper.detectors.types import Finding
from watchkeeper.handlers.rules import facts
from watchkeeper.handlers.types import Context, Evidence, Incident, Kind


class Data:
    """Broken features settle it; drift that began with the harm hints at it."""

    kind: ClassVar[Kind] = Kind.DATA

    def weigh(self, incident: Incident, context: Context) -> list[Evidence]:
        of_features = self._of_features(incident, context)
        repeated = facts.repeated(incident)
        if not repeated:
            return of_features
        if facts.retried(incident, context):
            text = f"clients asked again for what failed or waited first: {repeated} came twice"
            return [Evidence(Kind.DATA, 0.0, text), *of_features]
        twice = Evidence(Kind.DATA, 4.0, f"what was sent came twice: {repeated}")
        return [twice, *(each for each in of_features if each.weight > 0)]

    def place(self, incident: Incident, context: Context) -> str:
        found = self._named(incident) or facts.drift(incident, context)
        named = facts.targets(sorted(found, key=lambda f: -abs(f.statistic)))
        return named or ("what is sent" if facts.repeated(incident) else "inputs")

    def _of_features(self, incident: Incident, context: Context) -> list[Evidence]:
        broken, drifted = self._named(incident), facts.drift(incident, context)
        if broken:
            said = "; ".join(dict.fromkeys(f.statement for f in broken if f.statement))
            text = f"features are broken: {facts.targets(broken)}" + (f" ({said})" if said else "")
            return [Evidence(Kind.DATA, 4.5, text), *_mistakes(drifted)]
        if not drifted:
            return [Evidence(Kind.DATA, -2.0, "no feature is broken or drifted with the harm")]
        if facts.untested(incident, context):
            return [Evidence(Kind.DATA, 0.0, "inputs drifted, but a new version is live too")]
        text = f"inputs drifted as the harm began: {facts.targets(drifted)}"
        found = [Evidence(Kind.DATA, 1.0, text), *_mistakes(drifted)]
        if facts.foreseen(incident) and not facts.unforeseen(incident):
            text = "the scores let expect it: such inputs were always harder"
            found.append(Evidence(Kind.DATA, 1.0, text))
        return found

    def _named(self, incident: Incident) -> list[Finding]:
        """The broken features; the schema as a whole only where no feature is named."""
        broken = facts.quality(incident)
        named = [f for f in broken if not f.series.target.startswith("schema:")]
        return named or broken


def _mistakes(drifted: list[Finding]) -> list[Evidence]:
    """What upstream did to the columns, where the numbers tell."""
    exchanged = columns.swapped(drifted)
    if exchanged:
        pairs = ", ".join(f"{a} and {b}" for a, b in exchanged)
        return [Evidence(Kind.DATA, 4.0, f"columns have changed places: {pairs}")]
    return [
        Evidence(Kind.DATA, 3.0, f"{name} is {ratio:.3g} times what it was: {units}?")
        for name, ratio, units in columns.rescaled(drifted)[:3]
    ]
