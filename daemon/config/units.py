"""Values with a unit or a secret, as they are written in the configuration."""

from __future__ import annotations

import math
import re
from typing import Any

_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}


class Duration(float):
    """A span of time in seconds, written as a number with its unit: "60s", "5m", "6h", "7d".

    >>> Duration.parse("5m") == 300
    True
    >>> str(Duration(90))
    '90s'
    """

    @classmethod
    def parse(cls, text: object) -> Duration:
        """Reads the written form. Raises ValueError saying what would be right."""
        if isinstance(text, int | float) and not isinstance(text, bool):
            raise ValueError(f'a duration needs its unit: "{text:g}s", "{text:g}m", "{text:g}h" …')
        match = _SPAN.fullmatch(text.strip()) if isinstance(text, str) else None
        if match is None:
            raise ValueError(f'{text!r} is no duration: write "60s", "5m", "6h" or "7d"')
        seconds = float(match[1]) * _UNITS[match[2]]
        if not math.isfinite(seconds):
            raise ValueError(f"{text!r} is too long")
        return cls(seconds)

    def __str__(self) -> str:
        for unit in ("d", "h", "m"):
            if self and self % _UNITS[unit] == 0 and self / _UNITS[unit] >= 2:
                return f"{self / _UNITS[unit]:g}{unit}"
        return f"{float(self):g}s" if self >= 1 or not self else f"{self * 1000:g}ms"

    def __repr__(self) -> str:
        return f"Duration({str(self)!r})"


class Secret(str):
    """Text that no log, table or traceback may show; `reveal` gives it to the one who needs it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Secret({str(self)!r})"

    def __str__(self) -> str:
        return "***" if self else ""

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def reveal(self) -> str:
        """The text itself."""
        return str.__str__(self)


def decode(kind: type, value: Any) -> object:
    """msgspec's hook for the two, as written or decoded already."""
    if isinstance(value, Duration | Secret) and type(value) is kind:
        return value
    if kind is Duration:
        return Duration.parse(value)
    if kind is Secret:
        if not isinstance(value, str):
            raise ValueError("Expected `str`")
        return Secret(value)
    raise NotImplementedError(kind)


def schema(kind: type) -> dict[str, Any]:
    """msgspec's schema hook for the two."""
    if kind is Duration:
        return {"type": "string", "pattern": r"^\d+(\.\d+)? ?(ms|s|m|h|d|w)$"}
    if kind is Secret:
        return {"type": "string", "writeOnly": True}
    raise NotImplementedError(kind)
