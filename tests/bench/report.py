"""The figures as tables, and as a file."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from tests.bench.bench import Bench
from tests.bench.cases import Spent
from tests.bench.planned import KEYS


def report(bench: Bench, quick: bool, result: Path) -> None:
    """The tables, and the file."""
    console = Console()
    console.print(_costs(bench.rows))
    table = Table("measure", "median", "least", "most")
    of_peers = re.compile(
        "(complete_fast|naive)_over_(?!bare|naive)\\w+?(?<!_min)(?<!_max)|alarms_.*"
    )
    extra = [k for k in (*bench.found, *bench.missing) if of_peers.fullmatch(k)]
    for key in dict.fromkeys([*KEYS, *extra]):
        value = bench.found.get(key)
        ends = [bench.found.get(f"{key}_{end}") for end in ("min", "max")]
        cells = ["" if each is None else f"{each:.3g}" for each in (value, *ends)]
        if value is None:
            cells[0] = f"missing: {bench.missing.get(key, 'not asked for').splitlines()[-1][:80]}"
        table.add_row(key, *cells)
    console.print(table)
    for reason in bench.failures():
        console.print(f"failed: {reason}", highlight=False, markup=False)
    result.parent.mkdir(parents=True, exist_ok=True)
    whole = {**bench.found, "missing": bench.missing, "quick": quick, "environment": environment()}
    if "peers" in bench.found or "peers" in bench.missing:
        whole = _added(whole, result)
    result.write_bytes(msgspec.json.format(msgspec.json.encode(whole)) + b"\n")
    console.print(f"wrote {result}", highlight=False)


def _added(peers: dict[str, Any], result: Path) -> dict[str, Any]:
    """The figures that are there, with those of stream processors in place of older ones."""
    if not result.exists():
        return peers
    there = msgspec.json.decode(result.read_bytes())
    kept = {k: v for k, v in there.items() if not _of_peers(k)}
    missing = {k: why for k, why in there["missing"].items() if not _of_peers(k)}
    own = {"peers_quick": peers.pop("quick"), "peers_environment": peers.pop("environment")}
    return {**kept, **peers, **own, "missing": {**missing, **peers["missing"]}}


def _of_peers(key: str) -> bool:
    from tests.bench.peers import PEERS

    return key.startswith("peers") or any(f"_{name}" in key for name in PEERS)


def _costs(rows: list[tuple[str, Spent]]) -> Table:
    stages = ("poll", "decode", "step", "commit")
    table = Table(
        "case", "a second", "µs each", *stages, "saving", "MB", title="medians of runs, by record"
    )
    for case in dict.fromkeys(name for name, _ in rows):
        mine = [spent for name, spent in rows if name == case]

        def middle(value: Callable[[Spent], float], mine: list[Spent] = mine) -> float:
            return statistics.median(map(value, mine))

        def stage(name: str, mine: list[Spent] = mine) -> str:
            found = [spent.more[name] for spent in mine if name in spent.more]
            return f"{statistics.median(found):.2f}" if found else ""

        table.add_row(
            case,
            f"{middle(lambda s: s.rate):,.0f}",
            f"{middle(lambda s: s.each_us):.2f}",
            *(stage(f"us_{name}") for name in stages),
            stage("checkpoint_share"),
            f"{middle(lambda s: s.rss_mb):.0f}",
        )
    return table


def environment() -> dict[str, Any]:
    """What the figures hold for."""
    from importlib.metadata import PackageNotFoundError, version

    known = {}
    for name in ("watchkeeper", "kafka-python", "numpy", "numba", "msgspec", "river", "crc32c"):
        with contextlib.suppress(PackageNotFoundError):
            known[name] = version(name)
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "packages": known,
    }
