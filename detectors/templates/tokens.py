"""A form's tokens: words, and the signs around them."""

from __future__ import annotations

import re

from watchkeeper.detectors.templates.masks import WILD

Tokens = tuple[str, ...]

_MOST = 120  # tokens of a form that are looked at
_LONGEST = 3  # tokens of a unit that, said again and again, counts once

_TOKEN = re.compile(
    r'"[^"]*"'  # what is quoted is one
    r"|[\w.$]+\([^\s()]*\)"  # name(argument)
    r"|[(\[{<'](?!\*>)"
    r"|(?:<\*>|[^\s,;:=)\]}'\">|])+[=:]?"
    r"|\S"
)


def tokens_of(form: str) -> tuple[Tokens, tuple[bool, ...]]:
    """The tokens, and before which of them there is a space. A list of values is said once.

    >>> tokens_of("ask <*> to delete blk_<*> blk_<*> blk_<*>")[0]
    ('ask', '<*>', 'to', 'delete', 'blk_<*>')
    """
    found = list(_TOKEN.finditer(form))
    tokens = [each[0] for each in found]
    spaces = [each.start() > 0 and form[each.start() - 1] == " " for each in found]
    for period in range(1, _LONGEST + 1):
        kept = _without_repeats(tokens, period)
        tokens, spaces = [tokens[i] for i in kept], [spaces[i] for i in kept]
    return tuple(tokens[:_MOST]), tuple(spaces[:_MOST])


def _without_repeats(tokens: list[str], period: int) -> list[int]:
    """The places that are left when a list of values of `period` tokens each is said once."""
    kept: list[int] = []
    i = 0
    while i < len(tokens):
        unit = tokens[i : i + period]
        kept += range(i, min(i + period, len(tokens)))
        i += period
        if any(WILD in each for each in unit):
            while tokens[i : i + period] == unit:
                i += period
    return kept
