"""Is somebody misusing the model?"""

from __future__ import annotations

from typing import ClassVar

from watchkeeper.handlers.rules import facts
from watchkeeper.handlers.types import Context, Evidence, Incident, Kind


class Attack:
    """One client asks for a share of the answers that no client had before."""

    kind: ClassVar[Kind] = Kind.ATTACK

    def weigh(self, incident: Incident, context: Context) -> list[Evidence]:
        busy = facts.harmful(facts.of(incident, "clients"))
        if not busy:
            return [Evidence(Kind.ATTACK, -2.0, "no client stands out")]
        share = max(f.value for f in busy)
        return [Evidence(Kind.ATTACK, 5.0, f"one client sends {share:.0%} of the requests")]

    def place(self, incident: Incident, context: Context) -> str:
        return "one client"
