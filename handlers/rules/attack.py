"""Is somebody misusing the model?"""

from __future__ import annotations

from typing import ClassVar

from watchkeeper.detectors.types import Finding, Severity
from watchkeeper.handlers.rules import facts
from watchkeeper.handlers.rules.known_attacks import recognised
from watchkeeper.handlers.types import Context, Evidence, Incident, Kind

_SUCCESS = "success"  # no sign by itself that somebody wants it: an explanation, too
# What each target of `clients` weighs, and what it says.
_SIGNS = {
    "": (5.0, "one client sends {0:.0%} of the requests"),
    "boundary": (4.0, "{0:.0%} more of one client's scores than of others' are near the border"),
    "answers": (4.0, "one client's answers have {0:.2g} nats more entropy than others'"),
    _SUCCESS: (1.5, "{0:.0%} more of the answers to one client are wrong than of others'"),
    "repeats": (3.5, "{0:.0%} more of the pairs of one client's inputs than of others' are alike"),
}


class Attack:
    """One client asks for a share of the answers that no client had before, or asks otherwise than
    all others do."""

    kind: ClassVar[Kind] = Kind.ATTACK

    def weigh(self, incident: Incident, context: Context) -> list[Evidence]:
        signs = _signs(incident)
        if not signs:
            return [Evidence(Kind.ATTACK, -2.0, "no client stands out")]
        found = [
            Evidence(Kind.ATTACK, _SIGNS[target][0], _SIGNS[target][1].format(finding.value))
            for target, finding in signs.items()
        ]
        for attack in recognised(signs):
            text = f"looks like {attack.name} ({attack.known_as})"
            found.append(Evidence(Kind.ATTACK, 0.0, text))
        return found

    def place(self, incident: Incident, context: Context) -> str:
        return "one client"


def _signs(incident: Incident) -> dict[str, Finding]:
    """The strongest finding of each target that is a sign of an attack."""
    found: dict[str, Finding] = {}
    for each in facts.of(incident, "clients"):
        target = each.series.target
        if target != _SUCCESS and each.severity is Severity.INFO:
            continue
        known = found.get(target)
        if target in _SIGNS and (known is None or each.value > known.value):
            found[target] = each
    return found
