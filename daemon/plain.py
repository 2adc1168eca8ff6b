"""Text from outside, made harmless for terminals and log files."""

from __future__ import annotations

import re

# C0 and C1 controls, and the marks that turn the direction of text round
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def plain(text: str) -> str:
    r"""The text with its control characters written out.

    >>> plain("a\x1b[31mb\n")
    'a\\x1b[31mb\\n'
    """
    return _CONTROLS.sub(lambda found: _written(found[0]), text)


def _written(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
