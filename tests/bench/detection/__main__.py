"""`make bench NAME=detection`: how good the detectors are, each figure beside what it is held to.

Each part measures on its own: on drawn streams, and on the labelled data of `$WATCHKEEPER_DATA`
(default `../shared/data`). A part whose data is absent says so, and the rest is measured.
`--quick` takes fewer seeds and the smaller half of the work; its figures are those that
`tests/bench/detection/test_stored.py` compares with `stored.json`.
"""

from __future__ import annotations

import argparse
import os
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

_ROOT = Path(__file__).parents[3]
RESULT = Path("build/bench/detection.json")
PARTS = ("drift", "multivariate", "nab", "census", "logs")
KEYS = (
    "nab_standard",
    "nab_low_fp",
    "nab_low_fn",
    "drift_sd_up",
    "drift_sd_down",
    "drift_shape",
    "drift_mean",
    "drift_missed",
    "error_rate_delay",
    "multivariate_delay",
    "arl_ratio",
    "estimate_error",
    "estimate_coverage",
    "harm_precision",
    "harm_recall",
    "log_grouping",
    "log_us_per_line",
    "values_per_second",
    "bytes_per_series",
)


class Measured(msgspec.Struct):
    """What was measured, what each figure is held to, and why a part is missing."""

    found: dict[str, Any] = {}
    anchors: dict[str, tuple[str, str]] = {}
    missing: dict[str, str] = {}
    seconds: dict[str, float] = {}


def data_folder() -> Path:
    """Where the labelled data is."""
    return Path(os.environ.get("WATCHKEEPER_DATA") or _ROOT.parent / "shared" / "data")


def measured(parts: list[str], data: Path, quick: bool) -> Measured:
    """The figures of these parts."""
    whole = Measured()
    for name in parts:
        part, began = import_module(f"tests.bench.detection.{name}"), time.process_time()
        try:
            whole.found |= part.measure(data, quick=quick)
        except FileNotFoundError as error:
            whole.missing[name] = f"no data: {error}"
        whole.anchors |= {key: (anchor, goal) for key, anchor, goal in part.anchors()}
        whole.seconds[name] = time.process_time() - began
    return whole


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e5 else f"{value:,.0f}"
    if isinstance(value, dict):
        return "\n".join(f"{key}: {_beside(each)}" for key, each in value.items())
    return _beside(value)


def _beside(value: object) -> str:
    """A value in one line."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {_shown(each)}" for key, each in value.items())
    if isinstance(value, list | tuple):
        return " / ".join(map(_shown, value))
    return _shown(value) if isinstance(value, float) else str(value)


def report(whole: Measured, quick: bool, result: Path) -> None:
    """Two tables, the figures with their goals and what else was measured, and the file."""
    console = Console(width=140)
    goals = Table("figure", "measured", "anchor", "goal", title="detection", show_lines=True)
    others = Table("figure", "measured", title="besides", show_lines=True)
    for key in (*KEYS, *(k for k in whole.found if k not in KEYS)):
        if key not in whole.found:
            continue
        if key in whole.anchors:
            goals.add_row(key, _shown(whole.found[key]), *whole.anchors[key])
        else:
            others.add_row(key, _shown(whole.found[key]))
    console.print(goals, others)
    for part, why in whole.missing.items():
        console.print(f"missing: {part}: {why}", highlight=False)
    result.parent.mkdir(parents=True, exist_ok=True)
    kept = {**whole.found, "missing": whole.missing, "quick": quick, "cpu_seconds": whole.seconds}
    result.write_bytes(msgspec.json.format(msgspec.json.encode(kept)) + b"\n")
    console.print(f"wrote {result}", highlight=False)


def main() -> None:
    """Measures, prints the table and writes the result."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.detection", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer seeds, less data")
    parser.add_argument("--only", nargs="*", default=list(PARTS), choices=PARTS, metavar="PART")
    parser.add_argument("--data", type=Path, default=data_folder())
    parser.add_argument("--result", type=Path, default=RESULT, help=f"default: {RESULT}")
    asked = parser.parse_args()
    report(measured(asked.only, asked.data, asked.quick), asked.quick, asked.result)


if __name__ == "__main__":
    main()
