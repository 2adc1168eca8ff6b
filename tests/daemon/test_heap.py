"""Memory that was needed for a moment goes back to the system."""

from __future__ import annotations

import pytest

from tests.programs import ended
from watchkeeper.daemon import heap

glibc = pytest.mark.skipif(heap._glibc() is None, reason="the C library is not glibc")


def said(program: str) -> str:
    """What a process of its own prints."""
    done = ended(program)
    assert done.returncode == 0, done.stderr
    return done.stdout


# Blocks too small for a mapping of their own, of which every 64th stays.
_CROWD = """
import os, threading
from pathlib import Path
from watchkeeper.daemon import heap

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 2**20

def crowd(kept):
    blocks = [bytearray(20_000) for _ in range(4_000)]
    kept += blocks[::64]

kept = []
assert heap.use_one()
before = resident()
thread = threading.Thread(target=crowd, args=(kept,))
thread.start()
thread.join()
held = resident()
assert heap.trim()
print(before, held, resident())
"""


@glibc
def test_what_a_thread_left_free_between_what_it_kept_goes_back() -> None:
    before, held, after = map(float, said(_CROWD).split())

    assert held - before > 50
    assert after - before < 10


_AGAIN = """
import resource
from watchkeeper.daemon import heap

assert heap.use_one()
before = None
for turn in range(20):
    whole = [b"x" * 1_000_000 for _ in range(20)]
    del whole
    if turn == 2:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@glibc
def test_what_each_batch_needs_is_kept_for_the_next_one() -> None:
    assert int(said(_AGAIN)) < 1_000
