"""Where every thread is, for who has to find out why something does not go on."""

from __future__ import annotations

import faulthandler
import sys
from contextlib import suppress


def write_stacks() -> None:
    """Writes them to stderr, where that is a file: it must not harm whoever is in trouble."""
    with suppress(AttributeError, OSError, ValueError):
        faulthandler.dump_traceback(sys.stderr, all_threads=True)
        sys.stderr.flush()
