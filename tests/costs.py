"""What code costs beside other code in the same process: a time alone says little of the code on a
machine that others use as well."""

from __future__ import annotations

from collections.abc import Callable
from time import thread_time

_TURNS = 6


def seconds(of: Callable[[], object]) -> float:
    """The processor time this takes, in its own thread."""
    began = thread_time()
    of()
    return thread_time() - began


def at_most(most: float, this: Callable[[], float], other: Callable[[], float]) -> bool:
    """Whether this takes at most so many times the seconds of the other.

    They take turns, since a machine that others use is now quick and now slow, and of each the
    least counts: what is dear by itself is so in every turn, and a busy moment makes room for
    nothing.
    """
    turns = [(other(), this()) for _ in range(_TURNS)]
    least = min(seconds for seconds, _ in turns)
    return min(seconds for _, seconds in turns) <= most * least
