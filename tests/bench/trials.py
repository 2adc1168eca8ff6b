"""Cases that are not about throughput: memory of series, cost of a small checkpoint, and the time
until a daemon reads."""

from __future__ import annotations

import gc
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tests.bench.broker import Running
from tests.bench.cases import CHILD_S, KINDS, Job, Meter, Spent, Watched, series, serving
from tests.bench.latency import bare_latency, latency
from tests.bench.traffic import Shape, model_name
from watchkeeper.daemon import heap
from watchkeeper.daemon.core.panel import Panel

if TYPE_CHECKING:
    from watchkeeper.daemon.service import Daemon as Service

PROGRAM = Path(sys.executable).parent / "watchkeeper"


# --------------------------------------------------------------------------------------- memory


def memory(job: Job) -> Spent:
    """The process's memory once everything is stored and garbage is gone, `new` and with the
    histories of all series full, and how many series it has."""
    with serving(job) as service:
        watched, meter = Watched(service), Meter(0, job.records)
        while meter.going:
            before = watched.records
            service.turn(0.2)
            meter.add(watched.records - before)
        service.loop.checkpoint()
        spent = meter.spent()
        new = megabytes()
        fill(service.loop.pipeline.state.arrays.panel_of.values())
        spent.more = {"series": series(service), "mb_new": new, "mb": megabytes()}
    return spent


def fill(panels: Iterable[Panel]) -> None:
    """Takes the memory that the histories of all series take once they are long, within a week at
    most, as time would: what is in them is written again, as it is."""
    for panel in {id(each): each for each in panels}.values():
        rows = max(panel.places.values(), default=-1) + 1
        for post in panel.posts:
            post.bank._reach(rows)
            for table in post.bank._past.tables.values():
                table[:, :rows] = table[:, :rows].copy()


def megabytes() -> float:
    """Memory that lies in no file, after what is free has been given back: how much of its
    libraries is this process's alone hangs on who else runs."""
    gc.unfreeze()
    gc.collect()
    heap.trim()
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    own = [line.split()[1] for line in lines if line.startswith("Anonymous:")]
    return sum(map(float, own)) / 1024


# ----------------------------------------------------------------------------------- checkpoint


def checkpoint(job: Job) -> Spent:
    """Commits of the state of 2 models of 200, with offsets, SQLite WAL and a full sync."""
    from watchkeeper.daemon.config.sections import Checkpoint
    from watchkeeper.daemon.transport.memory import MemoryBroker, MemorySource
    from watchkeeper.daemon.transport.ports import Message

    shape = Shape(models=200, a_minute=120)
    never = Checkpoint(seconds=60.0, events=1_000_000)
    broker = MemoryBroker({f"{job.stream}.{kind}": 1 for kind in KINDS})
    topics = [f"{job.stream}.{kind}" for kind in KINDS]
    source = MemorySource(broker, topics, max_records=5_000)
    took: list[float] = []
    with serving(job, source, checkpoint=never) as service:
        rows = _rows(shape)
        for number, (at, topic, key, value) in enumerate(rows):
            broker.publish(Message(f"{job.stream}.{topic}", key, value), at)
            if number == shape.models * 120 * 4 * 2:
                break
        _drain(service)
        service.loop.checkpoint()
        count = series(service)
        while len(took) < 40:
            for at, topic, key, value in _of(rows, {b"model-00000", b"model-00001"}, 24):
                broker.publish(Message(f"{job.stream}.{topic}", key, value), at)
            _drain(service)
            began = time.perf_counter()
            service.loop.checkpoint()
            took.append((time.perf_counter() - began) * 1000)
    fsync = _fsync_ms()
    return Spent(
        events=len(took),
        cpu_s=0.0,
        wall_s=sum(took) / 1000,
        more={"ms": statistics.median(took), "series": count, "fsync_ms": fsync},
    )


def _rows(shape: Shape) -> Iterator[tuple[float, str, bytes, bytes]]:
    """Predictions and labels in turn, without end."""
    from kafka.record.memory_records import MemoryRecords

    from tests.bench.replay import Stream

    stream, number = Stream(shape), 0
    while True:
        both = [MemoryRecords(stream.batch(kind, 0, number)).next_batch() for kind in (False, True)]
        for said, truth in zip(*both, strict=True):
            yield said.timestamp / 1000, "predictions", said.key, said.value
            yield truth.timestamp / 1000, "labels", truth.key, truth.value
        number += 1


def _of(rows: Iterator[Any], keys: set[bytes], count: int) -> list[Any]:
    found: list[Any] = []
    for row in rows:
        if row[2] in keys:
            found.append(row)
            if len(found) == count:
                break
    return found


def _drain(service: Service) -> None:
    deadline = time.monotonic() + CHILD_S
    service.turn(0.0)
    while service.source.lag() and any(service.source.lag().values()):
        service.turn(0.0)
        if time.monotonic() > deadline:
            raise TimeoutError("the daemon does not catch up")


def _fsync_ms() -> float:
    """What one sync of a small write takes here."""
    took = []
    with tempfile.TemporaryFile() as file:
        for _ in range(20):
            file.write(b"x" * 4_096)
            file.flush()
            began = time.perf_counter()
            os.fsync(file.fileno())
            took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took)


# -------------------------------------------------------------------------------------- start-up


def help_seconds(times: int) -> list[float]:
    """What `watchkeeper --help` takes, once the files are in memory."""
    found = []
    for _ in range(times + 1):
        began = time.perf_counter()
        subprocess.run([str(PROGRAM), "--help"], capture_output=True, timeout=60, check=True)
        found.append(time.perf_counter() - began)
    return found[1:]


def ready_seconds(broker: Running, stream: str, times: int) -> list[float]:
    """From the start of `watchkeeper run` until it has its partitions; not the first start, which
    makes the database."""
    found = []
    with tempfile.TemporaryDirectory(prefix="watchkeeper-bench-") as folder:
        file = Path(folder) / "watchkeeper.toml"
        file.write_text(_toml(broker, stream, folder))
        for _ in range(times + 1):
            found.append(_ready(broker, file, Path(folder).name))
    return found[1:]


def _ready(broker: Running, file: Path, group: str) -> float:
    known = broker.ask(ask="joined", group=group)
    began = time.time()
    process = subprocess.Popen(
        [str(PROGRAM), "-c", str(file), "run"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        return _wait_joined(broker, group, known) - began
    finally:
        process.terminate()
        process.wait(30)


def _wait_joined(broker: Running, group: str, known: float | None) -> float:
    pause, deadline = threading.Event(), time.monotonic() + 60
    while time.monotonic() < deadline:
        joined = broker.ask(ask="joined", group=group)
        if joined is not None and joined != known:
            return float(joined)
        pause.wait(0.02)
    raise TimeoutError("the daemon has not joined its group")


def _toml(broker: Running, stream: str, folder: str) -> str:
    return (
        f'[daemon]\nstate_dir = "{folder}"\n'
        f'[kafka]\nbootstrap_servers = ["{broker.bootstrap}"]\ngroup_id = "{Path(folder).name}"\n'
        f'[topics]\nprefix = "{stream}."\n'
        f'[web]\nlisten = "127.0.0.1:0"\n'
    )


# ------------------------------------------------------------------------------------ references


def references(job: Job) -> Spent:
    """Writes a database with a reference for each of the models; `records` of them."""
    from watchkeeper.daemon.storage import migrate, rows, tables
    from watchkeeper.daemon.storage.database import put
    from watchkeeper.daemon.storage.store import Store

    url = f"sqlite:///{job.found}"
    migrate.upgrade(url)
    store = Store(url)
    profile = _profile()
    made = [msgspec.structs.replace(profile, model=model_name(i)) for i in range(job.records)]
    with store.registry._db.write() as connection:
        put(connection, tables.profiles, [rows.profile(each, 1.0) for each in made])
    store.close()
    _whole(job.found)
    return Spent(events=len(made), cpu_s=0.0, wall_s=1.0)


def _whole(file: str) -> None:
    """Brings what is in the write-ahead log into the file itself."""
    import sqlite3

    connection = sqlite3.connect(file)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def _profile() -> Any:
    from tests.bench.traffic import VERSION, columns
    from watchkeeper.detectors.profiling import profile_from_columns

    given = columns()
    score, label = given.pop("score"), given.pop("label")
    return profile_from_columns(
        given, model=model_name(0), version=VERSION, score=score, label=label, positive="yes"
    )


TRIALS = {
    "latency": latency,
    "bare_latency": bare_latency,
    "memory": memory,
    "checkpoint": checkpoint,
    "references": references,
}
