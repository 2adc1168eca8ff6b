"""The naive checks within stream processors, in turn with the daemon and the naive loop."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

from tests.bench import peers
from tests.bench.alarms import same_alarms
from tests.bench.bench import Bench
from tests.bench.cases import Job, Spent
from tests.bench.children import child
from tests.bench.planned import STREAMS, Missing

Run = Callable[[Job], Spent]


def measure_peers(bench: Bench) -> None:
    """All that can run here; each must have said what the naive loop says of the faulty stream."""
    file = bench.folder / "naive.json"
    _read_fault(bench, "naive", lambda job: child(job, fast=False), file)
    for name in peers.PEERS:
        key, over = f"complete_fast_over_{name}", f"naive_over_{name}"
        with bench.trying(key, over, spared=True):
            run, theirs = functools.partial(peers.child, name), bench.folder / f"{name}.json"
            _read_fault(bench, name, run, theirs)
            bench.found[f"alarms_compared_{name}"] = same_alarms(file, theirs)
            _compare(bench, name, key, over, run)
    measured = [name for name in peers.PEERS if f"complete_fast_over_{name}" in bench.found]
    if not measured:
        raise Missing("no stream processor could be measured")
    bench.found["peers"] = measured


def _read_fault(bench: Bench, case: str, run: Run, file: Path) -> None:
    """Writes to the file what the naive checks say of the faulty stream."""
    run(
        Job(
            case=case,
            bootstrap=bench.broker.bootstrap,
            stream="fault",
            lead=STREAMS["fault"].lead,
            records=100_000,
            found=str(file),
        )
    )


def _compare(bench: Bench, name: str, key: str, over: str, run: Run) -> None:
    job = Job(
        case=name,
        bootstrap=bench.broker.bootstrap,
        lead=STREAMS["ten"].lead,
        warm=30_000,
        records=10_000 if name == "faust" else bench.size.naive,
    )
    ratios: list[tuple[float, float]] = []
    for _ in range(bench.size.pairs):
        naive = bench.base("naive", "ten")
        theirs = run(job)
        ours = bench.run("complete_fast", **bench.whole())
        bench.rows += [("naive", naive), (name, theirs), ("complete_fast", ours)]
        ratios.append((theirs.each_us / ours.each_us, theirs.each_us / naive.each_us))
    bench.note(key, [ours for ours, _ in ratios])
    bench.note(over, [naive for _, naive in ratios])
