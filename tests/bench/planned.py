"""What `speed` measures: its streams, figures and parts, how much is read, and why one may lack."""

from __future__ import annotations

import msgspec

from tests.bench.latency import LIVE
from tests.bench.traffic import BEGIN, Shape

LIVE_NAMES = ["live0", "live1", "live2"]
FAULT_FROM = 40_000
STREAMS = {
    "one": Shape(models=1),
    "ten": Shape(a_minute=6_000, labels_after_s=10),  # 100 predictions a second of each model
    "fault": Shape(fault_from=FAULT_FROM),
    "thousand": Shape(models=1_000, a_minute=60),
    "ten_thousand": Shape(models=10_000, a_minute=60),
    "few": Shape(models=100, a_minute=30),
    "many": Shape(models=1_000, a_minute=30),
    "new": Shape(),
    **dict.fromkeys(LIVE_NAMES, LIVE),
}
FAULT_AT = BEGIN + FAULT_FROM * STREAMS["fault"].spacing_us / 1e6
KEYS = (
    "complete_over_bare",
    "complete_fast_over_bare",
    "complete_over_naive",
    "complete_fast_over_naive",
    "public_path_over_bare",
    "p99_ms_low_latency",
    "p99_ms_default",
    "mb_per_1000_series",
    "checkpoint_cpu_share",
    "ms_checkpoint_1pct_of_15000",
    "models_10000_over_bare",
    "help_seconds",
    "ready_seconds",
    "mb_per_1000_series_new",
    "p99_ms_bare_low_latency",
)
PARTS: dict[str, tuple[str, ...]] = {
    "equality": ("equality",),
    "complete": ("complete_over_bare", "complete_over_naive"),
    "complete_fast": ("complete_fast_over_bare", "complete_fast_over_naive"),
    "public": ("public_path_over_bare",),
    "large": ("models_10000_over_bare",),
    "checkpoints": ("checkpoint_cpu_share",),
    "small_checkpoint": ("ms_checkpoint_1pct_of_15000",),
    "memory": ("mb_per_1000_series", "mb_per_1000_series_new"),
    "latency": ("p99_ms_low_latency", "p99_ms_default", "p99_ms_bare_low_latency"),
    "starting": ("help_seconds", "ready_seconds"),
    "peers": ("peers",),
}
FAST = {"complete_fast", "models_1", "models_1000", "models_10000", "latency", "memory"}
IMPORTED = {"thousand", "ten_thousand", "few", "many", *LIVE_NAMES}


class Missing(Exception):
    """A case cannot run here; the message says why."""


class TooSmall(Missing):
    """A case that was not asked for: it needs the full size."""


class Unequal(RuntimeError):
    """Two that are compared did not find the same, so that their times say nothing."""


class Size(msgspec.Struct, frozen=True):
    """How much is read: records, and pairs of runs; `long` is enough for several checkpoints,
    `longest` where there are 10,000 models, which put them off furthest."""

    pairs: int
    bare: int
    complete: int
    long: int
    longest: int
    naive: int
    large: int
    large_pairs: int


FULL = Size(
    pairs=3,
    bare=150_000,
    complete=600_000,
    long=14_000_000,
    longest=34_000_000,
    naive=40_000,
    large=3_000_000,
    large_pairs=2,
)
QUICK = Size(
    pairs=2,
    bare=100_000,
    complete=150_000,
    long=600_000,
    longest=0,
    naive=20_000,
    large=0,
    large_pairs=0,
)
