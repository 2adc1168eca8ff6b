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
    """Whether this takes at most so many times the seconds of the other, the least of some turns.

    What is dear by itself is so in every turn; what only met a busy moment is not.
    """
    other()  # so that it is no slower for being the first
    of_this = of_other = float("inf")
    for _ in range(_TURNS):
        of_other = min(of_other, other())
        of_this = min(of_this, this())
        if of_this <= most * of_other:
            return True
    return False
