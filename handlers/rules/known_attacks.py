"""What an attack on a model looks like in the signal `clients`, and what it is called elsewhere.

The names are those of the OWASP Machine Learning Security Top 10 (2023) and of MITRE ATLAS.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple


class KnownAttack(NamedTuple):
    """A kind of attack, its names in OWASP's list and in ATLAS, and the `signs` of it: targets of
    the signal `clients` that must all be found."""

    name: str
    owasp: tuple[str, ...]
    atlas: tuple[str, ...]
    signs: frozenset[str]

    @property
    def known_as(self) -> str:
        """Its names elsewhere, for people."""
        return f"OWASP {', '.join(self.owasp)}; MITRE ATLAS {', '.join(self.atlas)}"


_EVASION_OWASP = ("ML01 Input Manipulation",)
_THEFT_OWASP = ("ML05 Model Theft",)
_THEFT_ATLAS = ("T0024.002 exfiltration via inference API: extraction",)

# Those with more signs first: they explain more.
KNOWN_ATTACKS: tuple[KnownAttack, ...] = (
    KnownAttack(
        "a search for inputs that evade the model",
        _EVASION_OWASP,
        ("T0043.001 craft adversarial data: black-box optimisation", "T0042 verify attack"),
        frozenset({"boundary", "repeats"}),
    ),
    KnownAttack(
        "probing of the border between answers, as before an evasion",
        _EVASION_OWASP,
        ("T0043.001 craft adversarial data: black-box optimisation",),
        frozenset({"boundary"}),
    ),
    KnownAttack(
        "copying of the model, class by class",
        _THEFT_OWASP,
        _THEFT_ATLAS,
        frozenset({"answers"}),
    ),
    KnownAttack(
        "the same records asked again and again, as to learn who was trained on",
        ("ML04 Membership Inference",),
        ("T0024.000 exfiltration via inference API: membership",),
        frozenset({"repeats"}),
    ),
    KnownAttack(
        "an evasion that succeeds: answers to one client are wrong",
        _EVASION_OWASP,
        ("T0015 evade ML model",),
        frozenset({"success"}),
    ),
    KnownAttack(
        "copying of the model, or wearing it out, by mass of requests",
        _THEFT_OWASP,
        (*_THEFT_ATLAS, "T0029 denial of service", "T0034 cost harvesting"),
        frozenset({""}),
    ),
)


POISONING = KnownAttack(
    "poisoning of what the model is judged by and retrained on",
    ("ML02 Data Poisoning", "ML08 Model Skewing"),
    ("T0020 poison training data",),
    frozenset({"labels"}),
)


def recognised(signs: Collection[str]) -> list[KnownAttack]:
    """The attacks that signs speak for; none whose signs another one explains too."""
    left, found = set(signs), []
    for attack in KNOWN_ATTACKS:
        if attack.signs <= left:
            found.append(attack)
            left -= attack.signs
    return found
