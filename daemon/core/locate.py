"""Turns the rules' evidence into one verdict."""

from __future__ import annotations

import math
from collections.abc import Sequence

from watchkeeper.handlers.types import Context, Evidence, Fault, Incident, Kind, Rule

# Log-odds before any evidence. UNKNOWN gets none from rules: a kind must outweigh it.
PRIOR: dict[Kind, float] = {
    Kind.DATA: 0.0,
    Kind.MODEL: 0.0,
    Kind.SERVING: 0.0,
    Kind.HOST: 0.0,
    Kind.ATTACK: -1.0,
    Kind.LABELS: -2.0,
    Kind.UNKNOWN: 1.0,
}


def locate(incident: Incident, context: Context, rules: Sequence[Rule]) -> Fault:
    """The posterior over kinds of fault, naive Bayes over the rules' evidence."""
    evidence = [each for rule in rules for each in rule.weigh(incident, context)]
    probabilities = posterior(evidence)
    kind = max(probabilities, key=lambda k: probabilities[k])
    places = {rule.kind: rule for rule in rules}
    place = places[kind].place(incident, context) if kind in places else ""
    return Fault(
        kind=kind,
        place=place,
        confidence=probabilities[kind],
        probabilities=probabilities,
        evidence=tuple(sorted(evidence, key=lambda e: -abs(e.weight))),
    )


def posterior(evidence: Sequence[Evidence]) -> dict[Kind, float]:
    """Probabilities of all kinds; they sum to 1, rounded to 4 decimals."""
    odds = dict(PRIOR)
    for each in evidence:
        odds[each.kind] += each.weight
    top = max(odds.values())
    shares = {kind: math.exp(value - top) for kind, value in odds.items()}
    total = sum(shares.values())
    return {kind: round(share / total, 4) for kind, share in shares.items()}
