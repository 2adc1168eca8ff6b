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
import functools
import os
import platform
import re
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
from tests.bench.said import Said
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
PARTS: dict[str, tuple[str, ...]] = {
    "equality": ("equality",),
    "complete": ("complete_over_bare", "complete_over_naive"),
    "complete_fast": ("complete_fast_over_bare", "complete_fast_over_naive"),
    "public": ("public_path_over_bare",),
    "large": ("models_10000_over_bare",),
    "checkpoints": ("checkpoint_cpu_share",),
    "small_checkpoint": ("ms_checkpoint_1pct_of_15000",),
    "memory": ("mb_per_1000_series", "mb_per_1000_series_new"),
    "latency": ("p99_ms_low_latency", "p99_ms_default"),
    "starting": ("help_seconds", "ready_seconds"),
    "peers": ("peers",),
}
_FAST = {"complete_fast", "models_1", "models_1000", "models_10000", "latency", "memory"}
_IMPORTED = {"thousand", "ten_thousand", "few", "many", *LIVE_NAMES}


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
    """Everything that was measured, by key; why the rest was not, in `missing`. What is `spared`
    may be missing."""

    broker: Running
    folder: Path
    size: Size
    found: dict[str, Any] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    rows: list[tuple[str, Spent]] = field(default_factory=list)
    spared: set[str] = field(default_factory=set)

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
                raise Unequal(f"{case} did not find what complete found")
        file = self.folder / "naive.json"
        self.run("naive", "fault", records=100_000, found=str(file))
        said = msgspec.json.decode(file.read_bytes(), type=Said)
        if not any(at > FAULT_AT for at in said.alarms):
            raise RuntimeError("naive did not find the fault")
        self.found["findings_compared"] = len(known)
        self.found["findings_of_the_fault"] = len(late)
        self.found["equality"] = True

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
            raise TooSmall("only in full size")
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
        if not self.size.large:
            raise TooSmall("only in full size")
        if not all(shares.values()):
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
        """The naive checks within stream processors, in turn with the daemon and the naive loop;
        only by `--peers`."""
        from tests.bench import peers

        file = self.folder / "naive.json"
        self.alarming("naive", lambda job: child(job, fast=False), file)
        for name in peers.PEERS:
            key, over = f"complete_fast_over_{name}", f"naive_over_{name}"
            with self.trying(key, over, spared=True):
                run = functools.partial(peers.child, name)
                theirs = self.alarming(name, run, self.folder / f"{name}.json")
                self.found[f"alarms_compared_{name}"] = same_alarms(file, theirs)
                self._peer(name, key, over, run)
        measured = [name for name in peers.PEERS if f"complete_fast_over_{name}" in self.found]
        if not measured:
            raise Missing("no stream processor could be measured")
        self.found["peers"] = measured

    def alarming(self, case: str, run: Callable[[Job], Spent], file: Path) -> Path:
        """What the naive checks say of the faulty stream, written to the file."""
        shape = STREAMS["fault"]
        run(
            Job(
                case=case,
                bootstrap=self.broker.bootstrap,
                stream="fault",
                lead=shape.labels_after_s * 1_000_000 // shape.spacing_us,
                records=100_000,
                found=str(file),
            )
        )
        return file

    def _peer(self, name: str, key: str, over: str, run: Callable[[Job], Spent]) -> None:
        shape = STREAMS["ten"]
        job = Job(
            case=name,
            bootstrap=self.broker.bootstrap,
            lead=shape.labels_after_s * 1_000_000 // shape.spacing_us,
            warm=30_000,
            records=10_000 if name == "faust" else self.size.naive,
        )
        ratios: list[tuple[float, float]] = []
        for _ in range(self.size.pairs):
            naive = self.base("naive", "ten")
            theirs = run(job)
            ours = self.run("complete_fast", **self._whole())
            self.rows += [("naive", naive), (name, theirs), ("complete_fast", ours)]
            ratios.append((theirs.each_us / ours.each_us, theirs.each_us / naive.each_us))
        self.note(key, [ours for ours, _ in ratios])
        self.note(over, [naive for _, naive in ratios])

    @contextlib.contextmanager
    def trying(self, *keys: str, spared: bool = False) -> Iterator[None]:
        """A failure leaves the keys missing, with the reason."""
        try:
            yield
        except (Missing, RuntimeError, subprocess.SubprocessError, TimeoutError, OSError) as error:
            self._lacks(keys, str(error)[-1_500:])
            if isinstance(error, TooSmall) or (spared and not isinstance(error, Unequal)):
                self.spared.update(keys)
        else:
            self._lacks(keys, "was not measured")

    def _lacks(self, keys: tuple[str, ...], why: str) -> None:
        for key in keys:
            if key not in self.found:
                self.missing.setdefault(key, why)

    def everything(self, chosen: set[str]) -> None:
        """All parts, or the chosen ones. Nothing is timed once equality has failed."""
        for name, keys in PARTS.items():
            if name not in (chosen or PARTS.keys() - {"peers"}):
                continue
            if "equality" in self.missing:
                self._lacks(keys, "not timed: the forms of the daemon were not found to be equal")
                continue
            began = time.monotonic()
            with self.trying(*keys):
                getattr(self, name)()
            self.found[f"seconds_{name}"] = round(time.monotonic() - began, 1)

    def failures(self) -> list[str]:
        """What was asked for and is not there, and why."""
        lacking = {k: why for k, why in self.missing.items() if k not in self.spared}
        return [f"{key}: {(why.splitlines() or ['?'])[-1]}" for key, why in lacking.items()]


def same_alarms(known: Path, theirs: Path) -> int:
    """How many alarms two runs of the naive checks gave of the predictions and labels that both
    have read; Unequal if they are not the same, or none is of the fault."""
    shape = STREAMS["fault"]
    lead = shape.labels_after_s * 1_000_000 // shape.spacing_us
    one, other = (msgspec.json.decode(file.read_bytes(), type=Said) for file in (known, theirs))
    read = min(one.predictions, other.predictions, one.labels + lead, other.labels + lead)
    until = BEGIN + (read - 0.5) * shape.spacing_us / 1e6
    ours, found = (sorted(at for at in each.alarms if at < until) for each in (one, other))
    if not ours or ours[-1] <= FAULT_AT:
        raise Unequal(f"no alarm of the fault in the {read} predictions that both have read")
    if ours != found:
        raise Unequal(f"{len(found)} alarms, not the {len(ours)} of the naive loop, or at others")
    return len(ours)


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
