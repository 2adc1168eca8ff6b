"""The file that says whose process this is, and the name under which it holds leases."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO
from urllib.parse import quote


def home_of(folder: Path, instance: str) -> IO[str]:
    """The instance's own file, open: workers share the folder under names of their own, and each
    has to find its leases again."""
    folder.mkdir(parents=True, exist_ok=True)
    return (folder / f"lock-{quote(instance, safe='')}").open("a")


def holder_of(name: str, home: IO[str]) -> str:
    """Who holds this process's leases: the same after a crash, so that it need not wait for its
    own; never the same for two that run at once, of which only one can lock its file."""
    try:
        fcntl.flock(home, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return f"{name}:{os.getpid()}"
    return name
