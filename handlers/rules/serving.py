"""Is the way from request to answer at fault?"""

from __future__ import annotations

from typing import ClassVar

from watchkeeper.handlers.rules import facts
from watchkeeper.handlers.types import Context, Evidence, Incident, Kind


class Serving:
    """Requests fail, are slow or stay away, while the answers given are as good as ever."""

    kind: ClassVar[Kind] = Kind.SERVING

    def weigh(self, incident: Incident, context: Context) -> list[Evidence]:
        failing = facts.failing(incident)
        if not failing:
            return [Evidence(Kind.SERVING, -2.0, "no errors, delays or silence")]
        found = [Evidence(Kind.SERVING, 3.0, f"requests fail or wait: {facts.targets(failing)}")]
        if not facts.worse_answers(incident):
            found.append(Evidence(Kind.SERVING, 1.0, "the answers that are given are as before"))
        if facts.harmful(facts.of(incident, "metrics")):
            found.append(Evidence(Kind.SERVING, -2.0, "a host metric would explain it"))
        if facts.retried(incident, context):
            text = "clients ask again: requests come twice since they fail or wait"
            found.append(Evidence(Kind.SERVING, 1.0, text))
        elif facts.repeated(incident):
            text = "requests came twice before: so many would explain it"
            found.append(Evidence(Kind.SERVING, -2.0, text))
        if facts.untested(incident, context):
            found.append(Evidence(Kind.SERVING, -1.0, "a new version went live just before"))
        return found

    def place(self, incident: Incident, context: Context) -> str:
        return facts.targets(facts.failing(incident)) or "serving"
