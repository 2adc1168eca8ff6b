"""What is measured: one file a signal family, found by its name.

Each file whose name has no leading underscore holds one signal, a class named as the file.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from watchkeeper.detectors.signals._derived import (
    DERIVED,
    Derived,
    Estimate,
    EstimateGap,
    Stretch,
)
from watchkeeper.detectors.types import Partial, Signal

__all__ = [
    "DERIVED",
    "NAMES",
    "SIGNALS",
    "Derived",
    "Estimate",
    "EstimateGap",
    "Stretch",
    "part_of",
]


def _discovered() -> tuple[Signal, ...]:
    names = sorted(m.name for m in iter_modules(__path__) if not m.name.startswith("_"))
    return tuple(_made(name) for name in names)


def _made(name: str) -> Signal:
    module = import_module(f"{__name__}.{name}")
    signal = getattr(module, name.title().replace("_", ""))()
    if not isinstance(signal, Signal):
        raise TypeError(f"{module.__name__} must define a Signal")
    return signal


SIGNALS: tuple[Signal, ...] = _discovered()

# All that can be watched.
NAMES: tuple[str, ...] = tuple(
    sorted([*(each.name for each in SIGNALS), *(each.name for each in DERIVED)])
)


def part_of(signal: str) -> Partial:
    """An empty part of a signal: some bound what is merged into them, and have a type of theirs."""
    kind: type[Partial] = getattr(_KNOWN.get(signal), "part", Partial)
    return kind()


_KNOWN = {signal.name: signal for signal in SIGNALS}
