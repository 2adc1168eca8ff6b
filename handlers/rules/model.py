"""Is the model itself at fault: a bad version, or a world it does not know any more?"""

from __future__ import annotations

from typing import ClassVar

from watchkeeper.handlers.rules import facts
from watchkeeper.handlers.types import Context, Evidence, Incident, Kind


class Model:
    """Answers got worse: with a new version, or while inputs and version stayed the same."""

    kind: ClassVar[Kind] = Kind.MODEL

    def weigh(self, incident: Incident, context: Context) -> list[Evidence]:
        worse = facts.worse_answers(incident)
        found = [self._deployed(incident, context)]
        if not worse:
            found.append(Evidence(Kind.MODEL, -2.0, "its answers are not known to be worse"))
            return found
        text = f"answers got worse: {facts.targets(worse)}"
        found.append(Evidence(Kind.MODEL, 1.5, text))
        if facts.quality(incident):
            found.append(Evidence(Kind.MODEL, -2.0, "broken features would explain it"))
        elif not facts.drift(incident, context):
            found.append(Evidence(Kind.MODEL, 1.5, "its inputs look as they did before"))
        return found

    def place(self, incident: Incident, context: Context) -> str:
        return f"version {incident.version}"

    def _deployed(self, incident: Incident, context: Context) -> Evidence:
        if facts.untested(incident, context):
            text = f"version {incident.version} is newly deployed and was never seen healthy"
            return Evidence(Kind.MODEL, 3.0, text)
        record = facts.live(incident, context)
        healthy = 0 if record is None else record.healthy_windows
        text = f"version {incident.version} had worked for {healthy} windows"
        return Evidence(Kind.MODEL, -0.5, text)
