"""The heap of the C library: one for all threads, whose free memory goes back to the system.

Batches need much memory for a moment, above all behind a backlog. glibc keeps what they leave, in
a heap for each thread, until the end of the process; other C libraries are let be.
"""

from __future__ import annotations

import ctypes
import functools

TRIM_S = 60.0
# Of glibc's `mallopt`. What a batch needs is taken and left again with each: given back in between,
# it would have to be cleared each time, which is a tenth of all the work.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
# Bytes. Answers of brokers are smaller than the second: see `fetch_max_bytes`.
_KEPT, _ALONE = 64 * 1024 * 1024, 8 * 1024 * 1024


def use_one() -> bool:
    """Has all threads that begin from now on share one heap; False where that cannot be said.

    Free memory at the end of another thread's heap never goes back. Threads hardly wait for each
    other here, since most of what they do they do one after the other. The heap keeps 64 MiB for
    the next batch until `trim`; what is larger than 8 MiB is mapped alone, and goes back at once.
    """
    libc = _glibc()
    wanted = (_ARENA_MAX, 1), (_TRIM_THRESHOLD, _KEPT), (_MMAP_THRESHOLD, _ALONE)
    return libc is not None and all([libc.mallopt(*each) == 1 for each in wanted])


def trim() -> bool:
    """Gives free memory back; True where there was some. While it does, whoever wants memory waits:
    for 14 ms where that were 190 MB, for half of one where there is hardly any."""
    libc = _glibc()
    return libc is not None and libc.malloc_trim(0) == 1


@functools.cache
def _glibc() -> ctypes.CDLL | None:
    try:
        libc = ctypes.CDLL("libc.so.6")
    except OSError:
        return None
    return libc if hasattr(libc, "malloc_trim") else None
