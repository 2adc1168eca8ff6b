"""The compiled kernels of the extra `fast`, all of them."""

from __future__ import annotations

import fcntl
import importlib
import os
from contextlib import suppress

from watchkeeper.detectors import fast

_NICENESS = 10
MODULES = (
    "watchkeeper.daemon.core.clocks_fast",
    "watchkeeper.daemon.core.keyed_fast",
    "watchkeeper.daemon.core.placing_fast",
    "watchkeeper.daemon.storage.decimals_fast",
    "watchkeeper.daemon.transport.batches_fast",
    "watchkeeper.daemon.transport.codec.fast_event",
    "watchkeeper.detectors.anomalies.nearest_fast",
    "watchkeeper.detectors.arrays.absorb_fast",
    "watchkeeper.detectors.arrays.filled_fast",
    "watchkeeper.detectors.arrays.sampled_fast",
    "watchkeeper.detectors.banks.ewma_fast",
    "watchkeeper.detectors.banks.pooling_fast",
    "watchkeeper.detectors.banks.psi_fast",
    "watchkeeper.detectors.banks.reference_z_fast",
    "watchkeeper.detectors.banks.robust_z_fast",
    "watchkeeper.detectors.banks.seasonal_fast",
    "watchkeeper.detectors.banks.shiryaev_roberts_rate_fast",
    "watchkeeper.detectors.banks.silence_fast",
    "watchkeeper.detectors.banks.threshold_fast",
    "watchkeeper.detectors.sequential.advance_fast",
)


def warm() -> bool:
    """Compiles every kernel or takes it from the disk; whether there are any. It takes half a
    minute or more the first time, and half a second from then on."""
    if not fast.possible():
        return False
    for module in MODULES:  # importing one makes its kernels known
        importlib.import_module(module)
    fast.warm()
    fast.note_complete()
    return True


def main() -> None:
    """Compiles them for others, behind all that is more urgent; only one process at a time does."""
    folder = fast.folder()
    if folder is None:
        raise SystemExit("nowhere to keep kernels")
    with suppress(OSError):
        os.nice(_NICENESS)
    with (folder / "compiling").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not fast.complete():
            warm()


if __name__ == "__main__":
    main()
