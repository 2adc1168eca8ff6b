"""One statement's template, and which of a group's are one statement: by the rule in `tree`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import msgspec

from watchkeeper.detectors.templates.masks import WILD
from watchkeeper.detectors.templates.tokens import Tokens

_CAPITALS = 3  # times as many states as other words make a variable

_STATE = re.compile(r"[A-Z][A-Z_]+")


class Template(msgspec.Struct):
    """One statement: its tokens, and before which of them there is a space."""

    id: int
    tokens: Tokens
    spaces: tuple[bool, ...]

    @property
    def text(self) -> str:
        """The statement as one reads it, values as wildcards."""
        parts = [f" {token}" if space else token for token, space in self._parts()]
        return "".join(parts).lstrip()

    def _parts(self) -> Iterable[tuple[str, bool]]:
        return zip(self.tokens, self.spaces, strict=True)

    def covers(self, tokens: Tokens) -> bool:
        """Whether a form is one of this statement's."""
        pairs = zip(self.tokens, tokens, strict=True)
        return all(mine in (theirs, WILD) for mine, theirs in pairs)


def closest(templates: Sequence[Template], tokens: Tokens) -> int | None:
    """The template that covers a form with the fewest wildcards."""
    found = [each for each in templates if each.covers(tokens)]
    if not found:
        return None
    return min(found, key=lambda each: (each.tokens.count(WILD), each.id)).id


def general(tokens: Sequence[Tokens]) -> Tokens:
    """The tokens that all have, and wildcards where they differ."""
    return tuple(each[0] if len(set(each)) == 1 else WILD for each in zip(*tokens, strict=True))


def alike(templates: list[Template], distinct: int) -> list[list[Template]]:
    """The templates in sets that are not told apart: split at the place with the fewest different
    tokens that tells apart, and so on in each part."""
    place = _telling(templates, distinct)
    if place is None:
        return [templates]
    parts: dict[str, list[Template]] = {}
    for each in templates:
        parts.setdefault(each.tokens[place], []).append(each)
    return [found for part in parts.values() for found in alike(part, distinct)]


def _telling(templates: Sequence[Template], distinct: int) -> int | None:
    """The place with the fewest different tokens that tells these apart; None where none does."""
    if len(templates) < 2:
        return None
    best, fewest = None, 0
    for place, column in enumerate(zip(*(each.tokens for each in templates), strict=True)):
        different = set(column)
        n = len(different)
        if n == 1 or (best is not None and n >= fewest):
            continue
        if n < distinct or place == 0 or _states(different, distinct):
            best, fewest = place, n
    return best


def _states(different: set[str], distinct: int) -> bool:
    """Whether these are the states of something rather than values."""
    capitals = sum(_STATE.fullmatch(each) is not None for each in different)
    return 2 * capitals > len(different) and len(different) < _CAPITALS * distinct
