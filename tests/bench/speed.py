"""`make bench NAME=speed`: what the whole daemon costs, next to an empty poll loop.

Both read the same predictions from a broker, each in a process of its own, in turn: bare, daemon,
bare, daemon. Compared is CPU time an event within a pair, since it hardly depends on what else
the machine is doing; events a second are given too, and do depend on it.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic
from rich.console import Console
from rich.table import Table

from tests.bench.traffic import predictions
from tests.e2e.daemon import python_path
from tests.services.brokers import choose, chosen
from watchkeeper.daemon.config import Config
from watchkeeper.daemon.config.sections import READ, Daemon, Database, Kafka, Topics
from watchkeeper.daemon.transport.ports import Message
from watchkeeper.daemon.transport.settings import KafkaSettings

RESULT = Path("build/bench/speed.json")
PREFIX = "bench."
TOPIC = f"{PREFIX}predictions"
PROGRAM = Path(sys.executable).parent / "watchkeeper"
_CHILD_S = 300.0


class Spent(msgspec.Struct):
    """What one process needed, from the first batch on, for the events after it."""

    events: int
    cpu_s: float
    wall_s: float

    @property
    def each_us(self) -> float:
        """CPU microseconds an event."""
        return self.cpu_s / self.events * 1e6

    @property
    def rate(self) -> float:
        """Events a second."""
        return self.events / self.wall_s


@dataclass
class Meter:
    """Begins at the first batch, whose events it leaves out: they were fetched before."""

    wanted: int
    seen: int = 0
    _left_out: int = 0
    _began: tuple[float, float] = (0.0, 0.0)
    _deadline: float = field(default_factory=lambda: time.monotonic() + _CHILD_S)

    def add(self, events: int) -> None:
        """More events were dealt with."""
        if time.monotonic() > self._deadline:
            raise TimeoutError(f"{self.seen} of {self.wanted} events in {_CHILD_S:g} s")
        if events and not self.seen:
            self._left_out, self._began = events, _now()
        self.seen += events

    @property
    def going(self) -> bool:
        """Whether there are events to come."""
        return self.seen < self.wanted

    def spent(self) -> Spent:
        """All that was spent since the first batch."""
        cpu, wall = _now()
        return Spent(self.seen - self._left_out, cpu - self._began[0], wall - self._began[1])


def _now() -> tuple[float, float]:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime, time.monotonic()


class Nowhere:
    """A sink that takes everything and keeps nothing."""

    def publish(self, messages: Sequence[Message], timeout: float) -> list[str | None]:
        """Says that all is delivered."""
        return [None] * len(messages)

    def close(self, timeout: float = 10.0) -> None:
        """There is nothing to free."""


def bare(bootstrap: str, count: int) -> Spent:
    """The poll loop and nothing else; defaults, but for the sizes of fetches."""
    ours = KafkaSettings(bootstrap_servers=[bootstrap])
    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=None,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        max_poll_records=ours.max_poll_records,
        fetch_min_bytes=ours.fetch_min_bytes,
        fetch_max_wait_ms=ours.fetch_max_wait_ms,
        fetch_max_bytes=16 * 1024 * 1024,
        max_partition_fetch_bytes=ours.max_partition_fetch_bytes,
    )
    numbers = consumer.partitions_for_topic(TOPIC) or ()
    consumer.assign([TopicPartition(TOPIC, number) for number in numbers])
    meter = Meter(count)
    while meter.going:
        meter.add(sum(map(len, consumer.poll(timeout_ms=200).values())))
    spent = meter.spent()
    consumer.close()
    return spent


def daemon(bootstrap: str, count: int) -> Spent:
    """All that `watchkeeper run` does for an event, until the last one is committed."""
    from watchkeeper.daemon.service import Daemon as Service
    from watchkeeper.daemon.service import kinds_of
    from watchkeeper.daemon.transport.kafka import KafkaSource

    with tempfile.TemporaryDirectory(prefix="watchkeeper-bench-") as folder:
        config = Config(
            daemon=Daemon(state_dir=folder, instance="bench"),
            kafka=Kafka(bootstrap_servers=[bootstrap], group_id=Path(folder).name),
            topics=Topics(prefix=PREFIX),
            database=Database(url=f"sqlite:///{folder}/watchkeeper.db"),
        )
        source = KafkaSource(config.kafka_settings(), list(kinds_of(config)))
        service = Service(config, source, Nowhere())
        service.start()
        meter = Meter(count)
        while meter.going:
            step = service.turn(0.2)
            meter.add(sum(counts.predictions for counts in step.counts.values()))
        service.loop.checkpoint()
        spent = meter.spent()
        incidents = service.store.records.incidents()
        service.close()
    if incidents:
        raise RuntimeError(f"healthy traffic gave an incident: {incidents[0].title}")
    return spent


CASES = {"bare": bare, "daemon": daemon}


def produce(bootstrap: str, count: int, partitions: int) -> int:
    """Makes the topics and fills one; gives the mean size of an event in bytes."""
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    kept = {"retention.ms": "-1"}
    admin.create_topics([NewTopic(PREFIX + k, partitions, 1, topic_configs=kept) for k in READ])
    admin.close()
    producer = KafkaProducer(bootstrap_servers=bootstrap, linger_ms=20, batch_size=65_536)
    size = 0
    futures = []
    for said in predictions(count):
        at = round(said.at * 1000)
        futures.append(producer.send(TOPIC, said.value, said.key, timestamp_ms=at))
        size += len(said.value)
    producer.flush(timeout=60)
    for future in futures:
        future.get(timeout=60)
    producer.close(timeout=10)
    return round(size / count)


def child(case: str, bootstrap: str, count: int) -> Spent:
    """One case in a process of its own."""
    command = [sys.executable, "-m", "tests.bench.speed", "--case", case, bootstrap, str(count)]
    done = subprocess.run(
        command,
        capture_output=True,
        timeout=_CHILD_S + 60,
        check=False,
        env={**os.environ, **python_path()},
    )
    if done.returncode:
        raise RuntimeError(f"{case}:\n{done.stderr.decode()}")
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=Spent)


def help_times(pairs: int) -> tuple[float, float]:
    """Seconds that `watchkeeper --help` takes, and as a multiple of an import of click."""
    ours, ratios = [], []
    for _ in range(pairs):
        base = _wall([sys.executable, "-c", "import click"])
        ours.append(_wall([str(PROGRAM), "--help"]))
        ratios.append(ours[-1] / base)
    return statistics.median(ours), statistics.median(ratios)


def _wall(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, capture_output=True, timeout=60, check=True)
    return time.perf_counter() - began


def measure(count: int, pairs: int, partitions: int) -> dict[str, Any]:
    """Everything, as it goes to the result file."""
    name = chosen()
    with choose() as broker:
        size = produce(broker.bootstrap, count, partitions)
        runs = [
            (child("bare", broker.bootstrap, count), child("daemon", broker.bootstrap, count))
            for _ in range(pairs)
        ]
    ratios = sorted(base.each_us / ours.each_us for base, ours in runs)
    seconds, times = help_times(2 * pairs + 1)
    return {
        "broker": name,
        "events": count,
        "event_bytes": size,
        "partitions": partitions,
        "public_path_over_bare": statistics.median(ratios),
        "public_path_over_bare_min": ratios[0],
        "public_path_over_bare_max": ratios[-1],
        "events_per_second": statistics.median(ours.rate for _, ours in runs),
        "bare_events_per_second": statistics.median(base.rate for base, _ in runs),
        "cpu_us_per_event": statistics.median(ours.each_us for _, ours in runs),
        "bare_cpu_us_per_event": statistics.median(base.each_us for base, _ in runs),
        "help_seconds": seconds,
        "help_over_import_click": times,
    }


def report(found: dict[str, Any]) -> None:
    """The table, and the file."""
    table = Table("case", "events/s", "µs CPU/event", "bare/case: median (min to max)")
    rate, cpu = found["bare_events_per_second"], found["bare_cpu_us_per_event"]
    table.add_row("bare poll loop", f"{rate:,.0f}", f"{cpu:.1f}", "1")
    ratio = "{:.2f} ({:.2f} to {:.2f})".format(
        *(found[f"public_path_over_bare{end}"] for end in ("", "_min", "_max"))
    )
    rate, cpu = found["events_per_second"], found["cpu_us_per_event"]
    table.add_row("the whole daemon", f"{rate:,.0f}", f"{cpu:.1f}", ratio)
    console = Console()
    console.print(table)
    console.print(
        f"{found['events']:,} events of {found['event_bytes']} bytes from {found['broker']}; "
        f"watchkeeper --help {found['help_seconds']:.2f} s, "
        f"{found['help_over_import_click']:.1f} times `import click`",
        highlight=False,
    )
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_bytes(msgspec.json.format(msgspec.json.encode(found)) + b"\n")
    console.print(f"wrote {RESULT}", highlight=False)


def main() -> None:
    """Measures everything, or one case for a measuring parent."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.speed", description=__doc__)
    parser.add_argument("--events", type=int, default=60_000)
    parser.add_argument("--pairs", type=int, default=4)
    parser.add_argument("--partitions", type=int, default=1)
    parser.add_argument("--case", nargs=3, metavar=("CASE", "BROKER", "COUNT"))
    options = parser.parse_args()
    if options.case:
        case, bootstrap, count = options.case
        spent = CASES[case](bootstrap, int(count))
        sys.stdout.write(msgspec.json.encode(spent).decode() + "\n")
        return
    report(measure(options.events, options.pairs, options.partitions))


if __name__ == "__main__":
    main()
