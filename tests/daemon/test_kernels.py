"""All kernels are compiled before records wait."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import watchkeeper
from tests.e2e.daemon import python_path

_CALLED = re.compile(r"^@kernel\((?!\)|apart)", re.MULTILINE)  # with an example
PACKAGE = Path(watchkeeper.__file__).parent
SEEN = """
import importlib, sys
from watchkeeper.daemon.kernels import MODULES
for module in MODULES:
    importlib.import_module(module)
print(*sys.modules)
"""


def with_kernels() -> set[str]:
    """The modules that have kernels which Python calls."""
    files = [f for part in ("daemon", "detectors") for f in (PACKAGE / part).rglob("*_fast.py")]
    files += [f for part in ("daemon", "detectors") for f in (PACKAGE / part).rglob("fast_*.py")]
    places = [f.relative_to(PACKAGE) for f in files if _CALLED.search(f.read_text("utf-8"))]
    return {".".join(("watchkeeper", *place.with_suffix("").parts)) for place in places}


def test_none_is_left_to_be_compiled_when_it_is_first_needed() -> None:
    command = [sys.executable, "-c", SEEN]

    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=True, env=python_path()
    )

    assert len(with_kernels()) > 3
    assert with_kernels() <= set(done.stdout.split())
