"""The compiled kernels of the extra `fast`, all of them."""

from __future__ import annotations

import importlib

from watchkeeper.detectors import fast

MODULES = (
    "watchkeeper.daemon.core.clocks_fast",
    "watchkeeper.daemon.core.keyed_fast",
    "watchkeeper.daemon.core.placing_fast",
    "watchkeeper.daemon.transport.batches_fast",
    "watchkeeper.daemon.transport.codec.fast_event",
    "watchkeeper.detectors.anomalies.nearest_fast",
    "watchkeeper.detectors.arrays.absorb_fast",
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
    """Compiles every kernel or takes it from the disk, before records wait; whether there are
    any. It takes half a minute the first time, and half a second from then on."""
    if not fast.available():
        return False
    for module in MODULES:  # importing one makes its kernels known
        importlib.import_module(module)
    fast.warm()
    return True
