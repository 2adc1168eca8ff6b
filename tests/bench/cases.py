"""The cases that are timed, each in a process of its own that prints one JSON line."""

from __future__ import annotations

import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from watchkeeper.daemon.config import Config
from watchkeeper.daemon.config.models import ModelSettings
from watchkeeper.daemon.config.sections import Checkpoint, Daemon, Database, Kafka
from watchkeeper.daemon.config.topics import Topics
from watchkeeper.daemon.config.units import Duration
from watchkeeper.daemon.transport.ports import Message, Source
from watchkeeper.daemon.transport.settings import PROFILES, KafkaSettings

if TYPE_CHECKING:
    from watchkeeper.daemon.service import Daemon as Service

KINDS = ("predictions", "labels", "logs", "metrics", "changes", "commands")
CHILD_S = 600.0


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What one process shall do: a case, on a stream, from `warm` records on for `records` more.

    With `own_time` the daemon's intervals pass as it gets CPU time, so that what else the machine
    does makes no checkpoint come sooner. `database` is copied before use. `kafka` and `model` are
    settings that differ from the defaults. Labels are `lead` records behind their predictions. What
    was found is written to `found`, up to event time `until`.
    """

    case: str
    bootstrap: str
    control: int = 0
    stream: str = "ten"
    warm: int = 0
    records: int = 300_000
    partitions: int = 1
    lead: int = 10_000
    own_time: bool = False
    database: str = ""
    kafka: dict[str, Any] = {}
    model: dict[str, Any] = {}
    found: str = ""
    until: float = 1e12


class Spent(msgspec.Struct, kw_only=True):
    """What one process needed for the records after the first ones, and more that it saw."""

    events: int
    cpu_s: float
    wall_s: float
    rss_mb: float = 0.0
    more: dict[str, float] = {}

    @property
    def each_us(self) -> float:
        """CPU microseconds a record."""
        return self.cpu_s / self.events * 1e6

    @property
    def rate(self) -> float:
        """Records a second."""
        return self.events / self.wall_s


def used() -> tuple[float, float]:
    """CPU seconds of this process, and the time."""
    spent = resource.getrusage(resource.RUSAGE_SELF)
    return spent.ru_utime + spent.ru_stime, time.monotonic()


@dataclass
class Meter:
    """The clock begins once `warm` records have been dealt with, at least a batch."""

    warm: int
    wanted: int
    seen: int = 0
    timing: bool = False
    _left_out: int = 0
    _began: tuple[float, float] = (0.0, 0.0)
    _deadline: float = field(default_factory=lambda: time.monotonic() + CHILD_S)

    def add(self, events: int) -> None:
        """More records were dealt with."""
        if time.monotonic() > self._deadline:
            raise TimeoutError(f"{self.seen} of {self.warm + self.wanted} in {CHILD_S:g} s")
        self.seen += events
        if not self.timing and self.seen > self.warm:
            self.timing, self._left_out, self._began = True, self.seen, used()

    @property
    def going(self) -> bool:
        """Whether there are records to come."""
        return self.seen - self._left_out < self.wanted or not self.timing

    def spent(self, **more: float) -> Spent:
        """All since the clock began."""
        cpu, wall = used()
        return Spent(
            events=self.seen - self._left_out,
            cpu_s=cpu - self._began[0],
            wall_s=wall - self._began[1],
            rss_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            more=more,
        )


class Nowhere:
    """A sink that takes everything and keeps nothing."""

    def publish(self, messages: Sequence[Message], timeout: float) -> list[str | None]:
        """Says that all is delivered."""
        return [None] * len(messages)

    def close(self, timeout: float = 10.0) -> None:
        """There is nothing to free."""


# ------------------------------------------------------------------------------- plain poll loops


def polls(job: Job) -> Generator[tuple[int, dict[Any, list[Any]]], None, None]:
    """kafka-python with its defaults, but for larger polls and answers, which suit it, and for the
    daemon's sizes of fetches of a partition and its patience with them.

    As many labels as predictions are read in all: a topic that has given its share is paused.
    """
    from kafka import KafkaConsumer, TopicPartition

    patience = PROFILES[job.kafka.get("profile", "default")]
    ours = msgspec.structs.replace(KafkaSettings(bootstrap_servers=[job.bootstrap]), **patience)
    consumer = KafkaConsumer(
        bootstrap_servers=job.bootstrap,
        group_id=None,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        max_poll_records=2_000,
        fetch_min_bytes=ours.fetch_min_bytes,
        fetch_max_wait_ms=ours.fetch_max_wait_ms,
        fetch_max_bytes=16 * 1024 * 1024,
        max_partition_fetch_bytes=ours.max_partition_fetch_bytes,
    )
    names = [f"{job.stream}.{kind}" for kind in KINDS]
    places = [TopicPartition(n, p) for n in names for p in range(job.partitions)]
    consumer.assign(places)
    share = (job.warm + job.records) // 2 // job.partitions
    read = dict.fromkeys(places, 0)
    try:
        while True:
            found = consumer.poll(timeout_ms=200)
            for place, records in found.items():
                read[place] += len(records)
                if read[place] >= share:
                    consumer.pause(place)
            yield sum(map(len, found.values())), found
    finally:
        consumer.close()


def bare(job: Job) -> Spent:
    """The poll loop and nothing else."""
    meter = Meter(0, job.records)
    with closing(polls(msgspec.structs.replace(job, warm=0))) as reading:
        for count, _ in reading:
            meter.add(count)
            if meter.seen >= job.records:
                break
        return meter.spent()


def naive(job: Job) -> Spent:
    """The poll loop, json and river; labels wait until their predictions have been read."""
    from tests.bench.naive import InOrder, Naive

    monitor, meter = Naive(), Meter(job.warm, job.records)
    ordered = InOrder(monitor, job.lead, job.partitions)
    given = msgspec.structs.replace(job, warm=job.warm + 4 * job.lead)
    with closing(polls(given)) as reading:
        for _, found in reading:
            for place, records in found.items():
                topic = place.topic
                meter.add(sum(ordered.take(topic, r.offset, r.value) for r in records))
            if not meter.going:
                break
        spent = meter.spent(models=len(monitor.models), alarms=len(monitor.alarms))
    if job.found:
        Path(job.found).write_bytes(msgspec.json.encode(ordered.said()))
    return spent


# ------------------------------------------------------------------------------------- the daemon


def config(job: Job, folder: str) -> Config:
    """The defaults, on this stream; the settings of the job over them."""
    if job.database:
        shutil.copy(job.database, f"{folder}/watchkeeper.db")
    return Config(
        daemon=Daemon(state_dir=folder, instance="bench", max_models=20_000, join_memory_mb=4_096),
        kafka=Kafka(bootstrap_servers=[job.bootstrap], group_id=Path(folder).name, **job.kafka),
        topics=Topics(prefix=f"{job.stream}."),
        database=Database(url=f"sqlite:///{folder}/watchkeeper.db"),
        checkpoint=Checkpoint(),
        defaults=msgspec.convert(job.model, ModelSettings, dec_hook=_duration),
    )


def _duration(kind: type, value: Any) -> Any:
    return kind(value) if kind is Duration else value


@dataclass
class Watched:
    """A daemon under measurement: how many records came, and what its stages took of its threads'
    time. `saved` says after each checkpoint what all of them have taken, and what the process."""

    service: Service
    records: int = 0
    stages: dict[str, float] = field(default_factory=dict)
    saved: list[tuple[float, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        poll, stage = self.service.source.poll, self.service.reporter.stage

        def polling(timeout: float) -> Any:
            polled = poll(timeout)
            self.records += len(polled.records)
            return polled

        @contextmanager
        def staging(name: Any) -> Iterator[None]:
            began = time.thread_time()
            with stage(name):
                yield
            self.stages[name] = self.stages.get(name, 0.0) + time.thread_time() - began
            if name == "commit":
                self.saved.append((self._saving, time.process_time()))

        _put(self.service.source, "poll", polling)
        _put(self.service.reporter, "stage", staging)

    @property
    def _saving(self) -> float:
        return sum(self.stages.get(name, 0.0) for name in ("keep", "dump", "commit"))

    @property
    def checkpoint_share(self) -> float | None:
        """Of the CPU time from the end of a checkpoint to the end of the last one, which are whole
        rounds of work and the checkpoint after it, with what it takes to gather what is stored of
        events; None for less than one round."""
        if len(self.saved) < 2:
            return None
        (spent, at), (all_spent, end) = self.saved[0], self.saved[-1]
        return (all_spent - spent) / (end - at)

    def reset(self) -> None:
        """From now on."""
        self.stages.clear()
        self.saved.clear()


def _put(holder: object, name: str, value: object) -> None:
    setattr(holder, name, value)


@contextmanager
def serving(job: Job, source: Source | None = None, **sections: Any) -> Iterator[Service]:
    """The whole daemon as `watchkeeper run` has it, but for the sink and the web server."""
    from watchkeeper.daemon import heap, kernels, logs
    from watchkeeper.daemon.running import spare_collections, take_turns
    from watchkeeper.daemon.service import Daemon as Whole
    from watchkeeper.daemon.topics import kinds_of
    from watchkeeper.daemon.transport.kafka import KafkaSource

    heap.use_one()
    logs.configure("error", "console", [])
    kernels.warm()  # before it is a member of a group that waits for it
    with tempfile.TemporaryDirectory(prefix="watchkeeper-bench-") as folder:
        settings = msgspec.structs.replace(config(job, folder), **sections)
        if source is None:
            source = KafkaSource(settings.kafka_settings(), list(kinds_of(settings)))
        service = Whole(settings, source, Nowhere())
        if job.own_time:
            _put(service.loop, "_steady", time.process_time)
        spare_collections()
        take_turns(settings.kafka.profile)
        service.start()
        try:
            yield service
        finally:
            service.close()


def complete(job: Job) -> Spent:
    """All that `watchkeeper run` does for a record, until the last one is committed."""
    with serving(job) as service:
        watched, meter = Watched(service), Meter(job.warm, job.records)
        while meter.going:
            before, timing = watched.records, meter.timing
            service.turn(0.2)
            meter.add(watched.records - before)
            if meter.timing and not timing:
                watched.reset()
        share = watched.checkpoint_share  # the last one comes before its time
        service.loop.checkpoint()
        spent = meter.spent()
        own = {f"us_{k}": s / spent.events * 1e6 for k, s in watched.stages.items()}
        spent.more = {
            **own,
            **({} if share is None else {"checkpoint_share": share}),
            "checkpoints": len(watched.saved),
            "series": series(service),
            "models": len(service.loop.pipeline.state.models),
            "incidents": len(service.store.records.incidents()),
            "findings": len(service.store.records.findings(limit=1_000_000)),
            "dead": len(service.store.records.dead_letters()),
        }
        if job.found:
            _write_findings(service, job)
    return spent


def _write_findings(service: Service, job: Job) -> None:
    found = service.store.records.findings(limit=1_000_000)
    known = [each for each in found if each.at <= job.until]
    Path(job.found).write_bytes(msgspec.json.encode(sorted(known, key=repr)))


def series(service: Service) -> int:
    """How many (model, version, signal, target) have a detector."""
    state = service.loop.pipeline.state
    loose = sum(len(model.judges) for model in state.models.values())
    seated = list(state.arrays.panel_of.values())
    posts = {id(p): {(post.signal, t) for post in p.posts for t in post.targets} for p in seated}
    return loose + sum(len(posts[id(panel)]) for panel in seated)


CASES: dict[str, Callable[[Job], Spent]] = {
    "bare": bare,
    "naive": naive,
    "complete": complete,
    "complete_fast": complete,
    "public": complete,
    "models_1000": complete,
    "models_10000": complete,
    "models_1": complete,
}
