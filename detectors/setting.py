"""How a detector declares a setting: type, bounds, default and what it means, in one place."""

from __future__ import annotations

from dataclasses import field
from typing import Annotated, TypeVar

import msgspec

T = TypeVar("T")

Count = Annotated[int, msgspec.Meta(ge=1)]
Positive = Annotated[float, msgspec.Meta(gt=0)]
NonNegative = Annotated[float, msgspec.Meta(ge=0)]
Probability = Annotated[float, msgspec.Meta(gt=0, lt=1)]


def setting(default: T, doc: str) -> T:
    """A dataclass field with its meaning, which `config check` and the docs show.

    Returns what `dataclasses.field` does; the declared type is the default's, as there.
    """
    declared: T = field(default=default, metadata={"doc": doc})
    return declared
