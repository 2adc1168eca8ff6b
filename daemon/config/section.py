"""What a section of the configuration file is, and how its fields are documented."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from watchkeeper.daemon.config.units import Duration

MODEL_NAME = r"^[A-Za-z0-9._/-]{1,128}$"
Url = Annotated[str, Meta(pattern=r"^https?://\S+$")]


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file: every field has a default, and an unknown one is an error."""


def doc(text: str, unit: str = "", example: object = None) -> Meta:
    """The documentation of a field, the unit of its number, and an example where there is no
    default to show."""
    return Meta(description=text, extra={"unit": unit, "example": example})


def span(text: str, low: str, high: str) -> Meta:
    """The documentation of a duration, and its bounds."""
    return Meta(description=text, extra={"low": Duration.parse(low), "high": Duration.parse(high)})
