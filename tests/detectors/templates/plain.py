"""Lines in which nothing is out of the ordinary."""

from __future__ import annotations

_WORDS = "copied a block to node "


def plain(length: int) -> str:
    """A line of so many characters that takes no longer than it must."""
    return (_WORDS * (length // len(_WORDS) + 1))[:length]
