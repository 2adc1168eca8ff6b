"""The compiled kernels of the extra `fast`, all of them."""

from __future__ import annotations

from watchkeeper.detectors import fast


def warm() -> bool:
    """Compiles every kernel or takes it from the disk, before records wait; whether there are
    any. It takes half a minute the first time, and half a second from then on."""
    if not fast.available():
        return False
    # Heavy, and of use only with numba.
    from watchkeeper.daemon.transport import batches_fast
    from watchkeeper.daemon.transport.codec import fast_event

    assert batches_fast and fast_event  # importing them makes their kernels known
    fast.warm()
    return True
