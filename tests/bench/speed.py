"""`make bench NAME=speed`: what the whole daemon costs, next to an empty poll loop.

A replay broker runs in one process; each case reads from it in a process of its own, in turn with
the empty loop: bare, case, bare, case. Compared is CPU time a record within a pair, since it hardly
depends on what else the machine is doing. A record is a prediction of 14 features, or its label.
References are learned or imported, and code is compiled, before the clock starts. First of all the
same faulty stream goes through every form of the daemon, and all must have found the same.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from tests.bench.broker import Running, Spec, running
from tests.bench.cases import CASES, CHILD_S, Job, Spent
from tests.bench.traffic import BEGIN, Shape
from tests.bench.trials import LIVE, TRIALS, help_seconds, ready_seconds
from tests.e2e.daemon import python_path

RESULT = Path("build/bench/speed.json")
KERNELS = Path(os.environ.get("WATCHKEEPER_FAST_CACHE") or "build/bench/kernels").absolute()
PROGRESS = Console(stderr=True)
LIVE_NAMES = ["live0", "live1"]
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
)
_FAST = {"complete_fast", "models_1", "models_1000", "models_10000", "latency", "memory"}
_IMPORTED = {"thousand", "ten_thousand", "few", "many", *LIVE_NAMES}


class Missing(Exception):
    """A case cannot run here; the message says why."""


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
    long=8_000_000,
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


@dataclass
class Bench:
    """Everything that was measured, by key; why the rest was not, in `missing`."""

    broker: Running
    folder: Path
    size: Size
    found: dict[str, Any] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    rows: list[tuple[str, Spent]] = field(default_factory=list)

    # ------------------------------------------------------------------------------- one process

    def run(self, case: str, stream: str = "ten", fast: bool | None = None, **job: Any) -> Spent:
        """One case in a process of its own."""
        shape = STREAMS[stream]
        given = Job(
            case=case,
            bootstrap=self.broker.bootstrap,
            control=self.broker.control,
            stream=stream,
            partitions=shape.partitions,
            lead=shape.labels_after_s * 1_000_000 // shape.spacing_us,
            database=self.references(stream),
            **job,
        )
        spent = child(given, case in _FAST if fast is None else fast)
        PROGRESS.print(f"{case} on {stream}: {spent.each_us:.2f} µs a record", highlight=False)
        if spent.more.get("incidents") and stream != "fault":
            raise RuntimeError(f"{case}: healthy traffic gave {spent.more['incidents']} incidents")
        if spent.more.get("dead"):
            raise RuntimeError(f"{case}: good records were refused")
        return spent

    def references(self, stream: str) -> str:
        """A database with references for the models of the stream, where they are imported."""
        if stream not in _IMPORTED:
            return ""
        count = STREAMS[stream].models
        file = self.folder / f"references-{count}.db"
        if not file.exists():
            job = Job(case="references", bootstrap="", records=count, found=str(file))
            child(job, fast=False)
        return str(file)

    def compared(self, case: str, pairs: int, names: dict[str, str], **job: Any) -> None:
        """How many times more each base costs a record than the case: median, least, most.

        `names` are what the ratios are called, by base; the bases run right before the case and
        right after it.
        """
        ratios: dict[str, list[float]] = {name: [] for name in names.values()}
        for _ in range(pairs):
            runs = {base: self.base(base, job.get("stream", "ten")) for base in list(names)[:1]}
            own = self.run(case, **job)
            runs |= {base: self.base(base, job.get("stream", "ten")) for base in list(names)[1:]}
            self.rows += [*runs.items(), (case, own)]
            for base, spent in runs.items():
                ratios[names[base]].append(spent.each_us / own.each_us)
        for name, values in ratios.items():
            self.note(name, values)

    def base(self, name: str, stream: str) -> Spent:
        """One run of what is compared with."""
        if name == "naive":
            return self.run(name, stream, warm=30_000, records=self.size.naive)
        return self.run(name, stream, records=self.size.bare)

    def note(self, name: str, values: list[float]) -> None:
        """Keeps the median, and the least and the most beside it."""
        self.found[name] = statistics.median(values)
        self.found[f"{name}_min"], self.found[f"{name}_max"] = min(values), max(values)

    # ----------------------------------------------------------------------------------- the cases

    def equality(self) -> None:
        """The same findings from all, and the fault among them."""
        end = BEGIN + 7 * 60.0
        runs = {"complete": False, "complete_fast": True, "public": False}
        stored = {}
        for case, fast in runs.items():
            file = self.folder / f"{case}.json"
            kafka = _off("batches") if case == "public" else {}
            self.run(case, "fault", fast, records=170_000, until=end, found=str(file), kafka=kafka)
            stored[case] = file.read_bytes()
        known = msgspec.json.decode(stored["complete"])
        late = [each for each in known if each["at"] > FAULT_AT]
        targets = {each["series"]["target"] for each in late}
        if not {"n0:missing", "error_rate"} <= targets:
            raise RuntimeError(f"the fault was not found: only {sorted(targets)}")
        for case, found in stored.items():
            if found != stored["complete"]:
                raise RuntimeError(f"{case} did not find what complete found")
        file = self.folder / "naive.json"
        self.run("naive", "fault", records=100_000, found=str(file))
        alarms = [at for at in msgspec.json.decode(file.read_bytes()) if at > FAULT_AT]
        if not alarms:
            raise RuntimeError("naive did not find the fault")
        self.found["findings_compared"] = len(known)
        self.found["findings_of_the_fault"] = len(late)

    def complete(self) -> None:
        """Without numba."""
        names = {"bare": "complete_over_bare", "naive": "complete_over_naive"}
        self.compared("complete", self.size.pairs, names, **self._whole())

    def complete_fast(self) -> None:
        """With numba."""
        names = {"bare": "complete_fast_over_bare", "naive": "complete_fast_over_naive"}
        self.compared("complete_fast", self.size.pairs, names, **self._whole())

    def public(self) -> None:
        """kafka-python's public way, without numba."""
        job = {**self._whole(), "kafka": _off("batches")}
        self.compared("public", self.size.pairs, {"bare": "public_path_over_bare"}, **job)

    def _whole(self) -> dict[str, Any]:
        return {"warm": 80_000, "records": self.size.complete}

    def large(self) -> None:
        """10,000 models, of which each closes a window while the clock runs."""
        if not self.size.large:
            raise Missing("only in full size")
        job = {"stream": "ten_thousand", "warm": 200_000, "records": self.size.large}
        names = {"bare": "models_10000_over_bare"}
        self.compared("models_10000", self.size.large_pairs, names, **job)

    def checkpoints(self) -> None:
        """The share of CPU time in checkpoints, at 1, 1,000 and 10,000 models: the worst."""
        long = self.size.long
        cases = {"1": ("one", 80_000, long), "1000": ("thousand", 150_000, long)}
        if self.size.large:
            cases["10000"] = ("ten_thousand", 200_000, self.size.longest)
        shares: dict[str, list[float]] = {}
        for count, (stream, warm, records) in cases.items():
            job: dict[str, Any] = {"warm": warm, "records": records, "own_time": True}
            name = f"models_{count}"
            runs = [self.run(name, stream, **job) for _ in range(max(self.size.large_pairs, 1))]
            self.rows += [(f"{name}, long", spent) for spent in runs]
            found = [spent.more.get("checkpoint_share") for spent in runs]
            shares[count] = [each for each in found if each is not None]
            if shares[count]:
                self.note(f"checkpoint_cpu_share_{count}_models", shares[count])
        if len(shares) < 3 or not all(shares.values()):
            measured = sorted(count for count, found in shares.items() if found)
            raise Missing(f"too few checkpoints, or none measured: only of {measured} models")
        self.note("checkpoint_cpu_share", max(shares.values(), key=statistics.median))

    def small_checkpoint(self) -> None:
        """1 % of 15,000 series, with a full sync."""
        spent = self.run("checkpoint", "new", fast=True)
        self.found["ms_checkpoint_1pct_of_15000"] = spent.more["ms"]
        self.found["series_in_checkpoint"] = spent.more["series"]
        self.found["fsync_ms"] = spent.more["fsync_ms"]

    def memory(self) -> None:
        """What 900 more models add to the process, once their histories are full, within a week,
        and when they are new. Predictions that wait for labels are another
        budget, set by `join_capacity`: here none do. The first run is not looked at: a process
        that compiles kernels needs more memory than one that finds them compiled."""
        grown: dict[str, list[float]] = {"mb": [], "mb_new": []}
        self._of_models("few")
        for _ in range(self.size.pairs):
            few, many = self._of_models("few"), self._of_models("many")
            series = many["series"] - few["series"]
            if series <= 0:
                raise Missing("the daemon's series could not be counted")
            for key, found in grown.items():
                found.append((many[key] - few[key]) / series * 1_000)
            self.found["series_of_1000_models"] = many["series"]
            self.found["mb_at_100_models"] = few["mb"]
        self.note("mb_per_1000_series", grown["mb"])
        self.note("mb_per_1000_series_new", grown["mb_new"])

    def _of_models(self, stream: str) -> dict[str, float]:
        job: dict[str, Any] = {"model": {"join_capacity": 1}}
        return self.run("memory", stream, records=STREAMS[stream].models * 240, **job).more

    def latency(self) -> None:
        """From the event to the finding at 2,000 events a second."""
        for profile, stream in zip(("low_latency", "default"), LIVE_NAMES, strict=True):
            with self.trying(f"p99_ms_{profile}"):
                spent = self.run("latency", stream, kafka=_of("profile", profile))
                self.found[f"p99_ms_{profile}"] = spent.more["p99_ms"]
                for name in ("p50_ms", "p95_ms", "share_of_a_core", "by_ticks"):
                    self.found[f"{name}_{profile}"] = spent.more[name]
                self.found[f"findings_{profile}"] = spent.events

    def starting(self) -> None:
        """The command line, and the daemon until it reads."""
        self.note("help_seconds", help_seconds(5))
        self.note("ready_seconds", ready_seconds(self.broker, "new", 3))

    def peers(self) -> None:
        """The naive checks within stream processors; only by `--peers`."""
        from tests.bench import peers

        shape = STREAMS["ten"]
        lead = shape.labels_after_s * 1_000_000 // shape.spacing_us
        for name in peers.PEERS:
            key = f"complete_fast_over_{name}"
            with self.trying(key):
                job = Job(
                    case=name,
                    bootstrap=self.broker.bootstrap,
                    lead=lead,
                    warm=30_000,
                    records=10_000 if name == "faust" else self.size.naive,
                )
                theirs = peers.child(name, job)
                ours = self.run("complete_fast", **self._whole())
                self.rows += [(name, theirs), ("complete_fast", ours)]
                self.found[key] = theirs.each_us / ours.each_us

    @contextlib.contextmanager
    def trying(self, *keys: str) -> Iterator[None]:
        """A failure leaves the keys missing, with the reason."""
        try:
            yield
        except (Missing, RuntimeError, subprocess.SubprocessError, TimeoutError, OSError) as error:
            for key in keys:
                if key not in self.found:
                    self.missing[key] = str(error)[-1_500:]

    def everything(self, chosen: set[str]) -> None:
        """All parts, or the chosen ones."""
        parts: list[tuple[Callable[[], None], tuple[str, ...]]] = [
            (self.equality, ("equality",)),
            (self.complete, KEYS[0:1] + KEYS[2:3]),
            (self.complete_fast, KEYS[1:2] + KEYS[3:4]),
            (self.public, KEYS[4:5]),
            (self.large, ("models_10000_over_bare",)),
            (self.checkpoints, ("checkpoint_cpu_share",)),
            (self.small_checkpoint, ("ms_checkpoint_1pct_of_15000",)),
            (self.memory, ("mb_per_1000_series", "mb_per_1000_series_new")),
            (self.latency, KEYS[5:7]),
            (self.starting, KEYS[11:13]),
        ]
        if "peers" in chosen:
            parts.append((self.peers, ("peers",)))
        for part, keys in parts:
            if not chosen or part.__name__ in chosen:
                began = time.monotonic()
                with self.trying(*keys):
                    part()
                self.found[f"seconds_{part.__name__}"] = round(time.monotonic() - began, 1)


def _of(option: str, value: object) -> dict[str, object]:
    """A setting of `[kafka]`; Missing where this version has none of the name."""
    from watchkeeper.daemon.config.sections import Kafka

    if option not in Kafka.__struct_fields__:
        raise Missing(f"no setting kafka.{option}")
    return {option: value}


def _off(option: str) -> dict[str, object]:
    return _of(option, False)


def child(job: Job, fast: bool) -> Spent:
    """Runs a job in a process of its own; its last line is the result."""
    text = msgspec.json.encode(job).decode()
    command = [sys.executable, "-m", "tests.bench.speed", "--job", text]
    own = {"WATCHKEEPER_FAST": str(int(fast)), "WATCHKEEPER_FAST_CACHE": str(KERNELS)}
    environment = {**os.environ, **python_path(), **own}
    done = subprocess.run(
        command, capture_output=True, timeout=CHILD_S + 60, check=False, env=environment
    )
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise RuntimeError(f"{job.case} on {job.stream}: " + "\n".join(said[-12:]))
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=Spent)


# ------------------------------------------------------------------------------------------ report


def report(bench: Bench, quick: bool, result: Path) -> None:
    """The tables, and the file."""
    console = Console()
    console.print(_costs(bench.rows))
    table = Table("measure", "median", "least", "most")
    extra = [k for k in (*bench.found, *bench.missing) if k.startswith("complete_fast_over_")]
    for key in dict.fromkeys([*KEYS, *extra]):
        value = bench.found.get(key)
        ends = [bench.found.get(f"{key}_{end}") for end in ("min", "max")]
        cells = ["" if each is None else f"{each:.3g}" for each in (value, *ends)]
        if value is None:
            cells[0] = f"missing: {bench.missing.get(key, 'not asked for').splitlines()[-1][:80]}"
        table.add_row(key, *cells)
    console.print(table)
    if "equality" in bench.missing:
        console.print(f"[bold]not equal:[/] {bench.missing['equality']}", highlight=False)
    result.parent.mkdir(parents=True, exist_ok=True)
    whole = {**bench.found, "missing": bench.missing, "quick": quick, "environment": environment()}
    result.write_bytes(msgspec.json.format(msgspec.json.encode(whole)) + b"\n")
    console.print(f"wrote {result}", highlight=False)


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
    os.environ.update(WATCHKEEPER_FAST=str(int(case in _FAST)), WATCHKEEPER_FAST_CACHE=str(KERNELS))
    shape = STREAMS[stream]
    spent = profiled(
        Job(
            case=case,
            bootstrap=bench.broker.bootstrap,
            control=bench.broker.control,
            stream=stream,
            warm=80_000,
            records=records,
            lead=shape.labels_after_s * 1_000_000 // shape.spacing_us,
            database=bench.references(stream),
            kafka=_off("batches") if case == "public" else {},
        )
    )
    Console().print(f"{spent.each_us:.2f} µs a record under the profiler", spent.more)


def main() -> None:
    """Measures everything, or does one job for a measuring parent."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.speed", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer records, no 10,000 models")
    parser.add_argument("--pairs", type=int, help="runs of each case")
    parser.add_argument("--only", nargs="*", default=[], metavar="PART", help="parts to measure")
    parser.add_argument("--peers", action="store_true", help="only other stream processors")
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
        return
    size = QUICK if options.quick else FULL
    if options.pairs:
        size = msgspec.structs.replace(size, pairs=options.pairs, large_pairs=options.pairs)
    with running(Spec(STREAMS, LIVE_NAMES)) as broker, tempfile.TemporaryDirectory() as folder:
        bench = Bench(broker, Path(folder), size)
        if options.profile:
            _profile(bench, options.profile, options.stream, options.records)
            return
        bench.everything({"peers"} if options.peers else set(options.only))
        report(bench, options.quick, options.result)


if __name__ == "__main__":
    main()
