"""Measures the parts one after the other, each case in turn with what it is compared with."""

from __future__ import annotations

import contextlib
import statistics
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console

from tests.bench.broker import Running
from tests.bench.cases import Job, Spent
from tests.bench.children import child, kafka_with, kafka_without
from tests.bench.planned import (
    FAST,
    FAULT_AT,
    IMPORTED,
    LIVE_NAMES,
    PARTS,
    STREAMS,
    Missing,
    Size,
    TooSmall,
    Unequal,
)
from tests.bench.said import Said
from tests.bench.traffic import BEGIN
from tests.bench.trials import help_seconds, ready_seconds

PROGRESS = Console(stderr=True)


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
            lead=shape.lead,
            database=self.references(stream),
            **job,
        )
        spent = child(given, case in FAST if fast is None else fast)
        PROGRESS.print(f"{case} on {stream}: {spent.each_us:.2f} µs a record", highlight=False)
        if spent.more.get("incidents") and stream != "fault":
            raise RuntimeError(f"{case}: healthy traffic gave {spent.more['incidents']} incidents")
        if spent.more.get("dead"):
            raise RuntimeError(f"{case}: good records were refused")
        return spent

    def references(self, stream: str) -> str:
        """A database with references for the models of the stream, where they are imported."""
        if stream not in IMPORTED:
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
            kafka = kafka_without("batches") if case == "public" else {}
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
        self.compared("complete", self.size.pairs, names, **self.whole())

    def complete_fast(self) -> None:
        """With numba."""
        names = {"bare": "complete_fast_over_bare", "naive": "complete_fast_over_naive"}
        self.compared("complete_fast", self.size.pairs, names, **self.whole())

    def public(self) -> None:
        """kafka-python's public way, without numba."""
        job = {**self.whole(), "kafka": kafka_without("batches")}
        self.compared("public", self.size.pairs, {"bare": "public_path_over_bare"}, **job)

    def whole(self) -> dict[str, Any]:
        """How much of the stream a case of ten models reads, and how much before the clock."""
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
        """From the event to the finding at 2,000 events a second; and out of an empty poll loop."""
        runs = {"low_latency": "latency", "default": "latency", "bare_low_latency": "bare_latency"}
        for (name, case), stream in zip(runs.items(), LIVE_NAMES, strict=True):
            with self.trying(f"p99_ms_{name}"):
                profile = name.removeprefix("bare_")
                spent = self.run(case, stream, kafka=kafka_with("profile", profile))
                self.found |= {f"{key}_{name}": value for key, value in spent.more.items()}
                self.found[f"seen_{name}"] = spent.events

    def starting(self) -> None:
        """The command line, and the daemon until it reads."""
        self.note("help_seconds", help_seconds(5))
        self.note("ready_seconds", ready_seconds(self.broker, "new", 3))

    def peers(self) -> None:
        """The naive checks within stream processors; only by `--peers`."""
        from tests.bench.beside import measure_peers

        measure_peers(self)

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
