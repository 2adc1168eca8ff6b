"""The measurements of the daemon's own host."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from watchkeeper.daemon import collecting
from watchkeeper.daemon.collecting import Collector, Host
from watchkeeper.daemon.config import load
from watchkeeper.daemon.transport.codec import decode
from watchkeeper.daemon.transport.memory import MemoryBroker, MemorySink
from watchkeeper.daemon.transport.ports import Message, Partition
from watchkeeper.daemon.worker import config_of
from watchkeeper.detectors.types import MetricFrame

NOW = 1_800_000_000.0


def test_levels_are_there_at_once_and_rates_from_the_second_time_on(tmp_path: Path) -> None:
    host = Host(f"{tmp_path}")

    first = {r.name: r.value for r in host.readings(100.0)}
    (tmp_path / "something").write_bytes(bytes(1_000_000))
    second = {r.name: r.value for r in host.readings(115.0)}

    for share in ("host.memory_used", "host.disk_used"):
        assert 0.0 <= first[share] <= 1.0
    assert "host.cpu_used" not in first
    assert 0.0 <= second.get("host.cpu_used", 0.0) <= 1.0
    assert not [name for name in first if name.endswith("_bytes")]
    assert second["host.net_received_bytes"] >= 0.0
    assert all(math.isfinite(value) for value in second.values())


def test_a_counter_that_began_anew_gives_no_rate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpu = {"cpu_busy": 1.0, "cpu_idle": 1.0}
    counts = iter([{"net_errors": n, **cpu} for n in (900.0, 4.0, 64.0)])
    monkeypatch.setattr(collecting, "_counters", lambda: next(counts))
    host = Host(f"{tmp_path}")

    rates = [
        [r.value for r in host.readings(at) if r.name == "host.net_errors"] for at in (0, 10, 30)
    ]

    assert rates == [[], [], [3.0]]


def test_every_model_of_the_host_is_told_in_events_the_daemon_reads(tmp_path: Path) -> None:
    broker = MemoryBroker()
    sink = MemorySink(broker, lambda: NOW)
    collector = Collector(Host(f"{tmp_path}"), sink, "metrics", "host-1", ["fraud", "churn"])

    sent = collector.collect(NOW, 0.0)
    read = decode(broker.read(Partition("metrics", 0), 0, 1_000), {"metrics": "metric"})

    frames = [frame for frame in read.frames if isinstance(frame, MetricFrame)]
    assert not read.dead
    assert {frame.model for frame in frames} == {"fraud", "churn"}
    assert sum(map(len, frames)) == sent > 0
    assert {host for frame in frames for host in frame.host.tolist()} == {"host-1"}


@dataclass
class Away:
    """A sink that nothing gets through."""

    asked: list[Message] = field(default_factory=list)

    def publish(self, messages: Sequence[Message], timeout: float) -> list[str | None]:
        self.asked += messages
        return ["no broker"] * len(messages)

    def close(self, timeout: float = 10.0) -> None:
        return None


def test_what_does_not_arrive_is_let_go(tmp_path: Path) -> None:
    away = Away()

    assert Collector(Host(f"{tmp_path}"), away, "metrics", "h", ["m"]).collect(NOW, 0.0) == 0
    assert away.asked


def test_without_a_driver_no_card_is_measured(tmp_path: Path) -> None:
    pytest.importorskip("pynvml", reason="needs the extra `gpu`")

    names = [r.name for r in Host(f"{tmp_path}").readings(0.0)]

    assert not [name for name in names if "gpu" in name] or Path("/dev/nvidia0").exists()


def test_only_the_first_of_several_workers_measures_the_host_they_share() -> None:
    config = load([], {"HOME": "/home/someone", "WATCHKEEPER_COLLECT__HOST": "true"})

    assert [config_of(config, number).collect.host for number in (1, 2, 3)] == [True, False, False]


def test_the_share_of_busy_processors_is_that_since_the_measurement_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter([{"cpu_busy": b, "cpu_idle": i} for b, i in ((10.0, 90.0), (13.0, 91.0))])
    monkeypatch.setattr(collecting, "_counters", lambda: next(times))
    host = Host(f"{tmp_path}")

    shares = [[r.value for r in host.readings(t) if r.name == "host.cpu_used"] for t in (0, 4)]

    assert shares == [[], [0.75]]
