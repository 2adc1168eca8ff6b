"""Python programs of their own, which see the tree as tests do."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.e2e.daemon import python_path


def ended(program: str, *args: str) -> subprocess.CompletedProcess[str]:
    """Runs it until it ends, for at most a minute; what it said is in the result."""
    return subprocess.run(
        [sys.executable, "-c", program, *args],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ | python_path(),
    )
