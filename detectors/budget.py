"""The one setting that a person understands: how many false alarms are accepted, in what time.

"1 per 30 days" of a model that has 1,440 windows a day is one false alarm in 43,200 samples: that
number is the threshold of its evidence, see `watchkeeper.detectors.sequential`.
"""

from __future__ import annotations

import math
import re

import msgspec

_UNITS = {"minute": 60, "hour": 3_600, "day": 86_400, "week": 604_800}
_UNITS |= {"month": 30 * 86_400, "year": 365 * 86_400}
_SHORT = {"min": "minute", "h": "hour", "d": "day", "w": "week", "y": "year"}
_NUMBER = r"\d+(?:\.\d+)?"
_FORM = re.compile(
    rf"\s*({_NUMBER}|once|twice)\s+(?:per|in|a|an|every)\s+(?:({_NUMBER})\s*)?([a-z]+)\s*",
    re.IGNORECASE,
)
_EXAMPLE = "write it like '1 per 30 days' or '2 per week'"


class BadBudget(ValueError):
    """A budget of false alarms cannot be understood, or cannot be kept."""


class Budget(msgspec.Struct, frozen=True):
    """So many false alarms are accepted in so many seconds of event time."""

    alarms: float
    seconds: float

    def __str__(self) -> str:
        days = self.seconds / 86_400
        return f"{self.alarms:g} per {days:g} day{'' if days == 1 else 's'}"

    def shared(self, models: int) -> Budget:
        """The budget of each of so many models that keeps this one for all together.

        >>> str(Budget(1, 7 * 86_400).shared(100))
        '0.01 per 7 days'
        """
        return Budget(self.alarms / max(1, models), self.seconds)

    def samples(self, per_second: float) -> float:
        """The samples in which one false alarm is accepted, at this rate of samples."""
        return self.seconds * per_second / self.alarms


def parse(text: str) -> Budget:
    """The budget that a text means. Raises `BadBudget` with what would be right.

    >>> parse("1 per 30 days")
    Budget(alarms=1.0, seconds=2592000.0)
    >>> parse("2 per week").samples(1 / 60)
    5040.0
    """
    if text.strip().lower() in ("none", "never", "0", "no"):
        raise BadBudget(
            f"false alarms {text!r}: none at all would mean no alarms at all; {_EXAMPLE}, "
            "or take the watch out"
        )
    matched = _FORM.fullmatch(text)
    if matched is None:
        raise BadBudget(f"false alarms {text!r} cannot be understood; {_EXAMPLE}")
    number, count, unit = matched.groups()
    alarms = {"once": 1.0, "twice": 2.0}.get(number.lower()) or _number(number)
    seconds = float(count or 1) * _seconds(unit, text)
    if not (alarms > 0.0 and seconds > 0.0):
        raise BadBudget(f"false alarms {text!r}: both numbers must be above 0; {_EXAMPLE}")
    if not (math.isfinite(alarms) and math.isfinite(seconds)):
        raise BadBudget(f"false alarms {text!r}: the numbers are too large; {_EXAMPLE}")
    return Budget(alarms, seconds)


def _number(text: str) -> float:
    return float(text)


def _seconds(unit: str, text: str) -> float:
    name = unit.lower()
    name = _SHORT.get(name) or name.removesuffix("s")
    name = _SHORT.get(name) or name
    if name not in _UNITS:
        raise BadBudget(
            f"false alarms {text!r}: no unit of time {unit!r}; there are: {', '.join(_UNITS)}"
        )
    return float(_UNITS[name])
