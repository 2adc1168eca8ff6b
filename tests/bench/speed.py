"""`make bench NAME=speed`: what the whole daemon costs, next to an empty poll loop.

A replay broker runs in one process; each case reads from it in a process of its own, in turn with
the empty loop: bare, case, bare, case. Compared is CPU time a record within a pair, since it hardly
depends on what else the machine is doing. A record is a prediction of 14 features, or its label.
References are learned or imported, and code is compiled, before the clock starts. First of all the
same faulty stream goes through every form of the daemon, and all must have found the same.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

import msgspec
from rich.console import Console

from tests.bench.bench import Bench
from tests.bench.broker import Spec, running
from tests.bench.cases import CASES, Job, Spent
from tests.bench.children import KERNELS, kafka_without
from tests.bench.planned import FAST, FULL, LIVE_NAMES, PARTS, QUICK, STREAMS
from tests.bench.report import report
from tests.bench.trials import TRIALS

RESULT = Path("build/bench/speed.json")


def profiled(job: Job) -> Spent:
    """Runs a job under cProfile and prints where its own thread's time goes."""
    import cProfile
    import pstats

    profile = cProfile.Profile()
    spent = profile.runcall((CASES | TRIALS)[job.case], job)
    pstats.Stats(profile, stream=sys.stderr).sort_stats("tottime").print_stats(45)
    return spent


def _profile(bench: Bench, case: str, stream: str, records: int) -> None:
    """`--profile CASE`: one run of a case in this process."""
    os.environ.update(WATCHKEEPER_FAST=str(int(case in FAST)), WATCHKEEPER_FAST_CACHE=str(KERNELS))
    shape = STREAMS[stream]
    spent = profiled(
        Job(
            case=case,
            bootstrap=bench.broker.bootstrap,
            control=bench.broker.control,
            stream=stream,
            warm=80_000,
            records=records,
            lead=shape.lead,
            database=bench.references(stream),
            kafka=kafka_without("batches") if case == "public" else {},
        )
    )
    Console().print(f"{spent.each_us:.2f} µs a record under the profiler", spent.more)


def main() -> int:
    """Measures everything, or does one job for a measuring parent. Not 0 if something that was
    asked for is missing."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.speed", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer records, no 10,000 models")
    parser.add_argument("--pairs", type=int, help="runs of each case")
    parser.add_argument("--only", nargs="*", default=[], choices=PARTS, help="parts to measure")
    parser.add_argument(
        "--peers", action="store_true", help="only other stream processors, added to the result"
    )
    parser.add_argument("--profile", metavar="CASE", choices=sorted(CASES | TRIALS))
    parser.add_argument("--stream", default="ten", choices=sorted(STREAMS), help="with --profile")
    parser.add_argument("--records", type=int, default=200_000, help="with --profile")
    parser.add_argument("--result", type=Path, default=RESULT, help=f"default: {RESULT}")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job:
        job = msgspec.json.decode(options.job, type=Job)
        spent = (CASES | TRIALS)[job.case](job)
        sys.stdout.write(msgspec.json.encode(spent).decode() + "\n")
        return 0
    size = QUICK if options.quick else FULL
    if options.pairs:
        size = msgspec.structs.replace(size, pairs=options.pairs, large_pairs=options.pairs)
    with running(Spec(STREAMS, LIVE_NAMES)) as broker, tempfile.TemporaryDirectory() as folder:
        bench = Bench(broker, Path(folder), size)
        if options.profile:
            _profile(bench, options.profile, options.stream, options.records)
            return 0
        bench.everything({"peers"} if options.peers else set(options.only))
        report(bench, options.quick, options.result)
    return int(bool(bench.failures()))


if __name__ == "__main__":
    sys.exit(main())
