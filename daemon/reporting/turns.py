"""What each turn of the loop has to tell, kept until the page of metrics is read."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from watchkeeper.daemon.reporting.metric_names import Name
from watchkeeper.daemon.transport.ports import Partition

SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
_LE = [*map(str, SECONDS), "+Inf"]


class Turns(Collector):
    """Makes metrics of what it was told when somebody reads them. From any thread.

    There may be hundreds of turns a second and one reading in many seconds: to set a dozen metrics
    in each turn would take a fiftieth of its time.
    """

    def __init__(self, stages: Sequence[str]) -> None:
        self._lock = threading.Lock()
        self._events: Counter[str] = Counter()
        self._waiting: Mapping[Partition, int] = {}
        self._watermark = 0.0
        self._behind_s: dict[str, float] = {}
        self._took = {stage: [0] * len(_LE) for stage in stages}
        self._took_s = dict.fromkeys(stages, 0.0)

    def polled(self, counts: Mapping[str, int], lag: Mapping[Partition, int]) -> None:
        """Records read by topic, and records known to wait by partition."""
        with self._lock:
            for topic, n in counts.items():
                self._events[topic] += n
            self._waiting = lag

    def released(self, partitions: Iterable[Partition]) -> None:
        """Partitions that another instance owns now: their lag is no longer known here."""
        gone = set(partitions)
        with self._lock:
            self._waiting = {p: n for p, n in self._waiting.items() if p not in gone}

    def progress(self, watermark: float, lag_s: Mapping[str, float]) -> None:
        """The oldest watermark, and by topic how old the newest processed event is, in seconds."""
        with self._lock:
            self._watermark = watermark
            self._behind_s.update(lag_s)

    def spent(self, stage: str, seconds: float) -> None:
        """Time that one stage of one turn took."""
        with self._lock:
            self._took[stage][bisect_left(SECONDS, seconds)] += 1
            self._took_s[stage] += seconds

    def describe(self) -> list[Metric]:
        """What it has, without any numbers."""
        return list(Turns(()).collect())

    def collect(self) -> Iterator[Metric]:
        """What it was told until now."""
        with self._lock:
            made = [self._read(), *self._gauges(), self._stages()]
        yield from made

    def _read(self) -> Metric:
        read = CounterMetricFamily(
            _of("watchkeeper_events_total"), "Records read.", labels=["topic"]
        )
        for topic, n in self._events.items():
            read.add_metric([topic], n)
        return read

    def _gauges(self) -> Iterator[Metric]:
        age = GaugeMetricFamily(
            _of("watchkeeper_event_lag_seconds"),
            "Age of the newest processed event.",
            labels=["topic"],
        )
        for topic, seconds in self._behind_s.items():
            age.add_metric([topic], seconds)
        waiting = GaugeMetricFamily(
            _of("watchkeeper_consumer_lag_records"),
            "Records known to wait.",
            labels=["topic", "partition"],
        )
        for partition, n in self._waiting.items():
            waiting.add_metric([partition.topic, str(partition.number)], n)
        yield age
        yield waiting
        yield GaugeMetricFamily(
            _of("watchkeeper_watermark_timestamp_seconds"),
            "Oldest watermark of the owned models.",
            value=self._watermark,
        )

    def _stages(self) -> Metric:
        stages = HistogramMetricFamily(
            _of("watchkeeper_stage_duration_seconds"),
            "Time in a stage of the loop.",
            labels=["stage"],
        )
        for stage, took in self._took.items():
            upto = [float(sum(took[: i + 1])) for i in range(len(took))]
            stages.add_metric([stage], list(zip(_LE, upto, strict=True)), self._took_s[stage])
        return stages


def _of(name: Name) -> str:
    """The name, which is one of those that there are."""
    return name
