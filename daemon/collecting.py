"""What the daemon's own host is doing, as metric events like those of any other host."""

from __future__ import annotations

import contextlib
import math
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import psutil
import structlog

from watchkeeper.daemon.transport.codec.encode import event_message
from watchkeeper.daemon.transport.ports import Message, Sink
from watchkeeper.detectors.types import Metric, moment

SEND_S = 2.0
_CPU = ("cpu_busy", "cpu_idle")
_GPUS = 16  # of one host that are measured

log = structlog.get_logger()


class Reading(NamedTuple):
    """One measurement, and its unit."""

    name: str
    value: float
    unit: str = ""


@dataclass
class Host:
    """Measures the host; rates are those since the measurement before, so the first has none.

    Load is per core and shares are from 0 to 1, so that hosts of any size compare. `folder` says
    of which disk the free space counts.
    """

    folder: str
    _before: dict[str, float] = field(default_factory=dict)
    _at: float = -math.inf
    _gpus: Sequence[Any] | None = None

    def readings(self, steady: float) -> list[Reading]:
        """All that can be measured here; `steady` is the time in seconds of a clock that is never
        set."""
        return [*_levels(self.folder), *self._rates(steady), *self._gpu()]

    def _rates(self, steady: float) -> Iterator[Reading]:
        seconds, before = steady - self._at, self._before
        self._at, self._before = steady, dict(_counters())
        if not 0.0 < seconds < math.inf:
            return
        busy, idle = (self._before[name] - before.get(name, math.nan) for name in _CPU)
        if busy >= 0.0 and idle >= 0.0 and busy + idle > 0.0:
            yield Reading("host.cpu_used", busy / (busy + idle), "share")
        for name, count in self._before.items():
            if name in _CPU or count < before.get(name, math.inf):
                continue  # a counter that fell began anew
            yield Reading(f"host.{name}", (count - before[name]) / seconds, "1/s")

    def _gpu(self) -> Iterator[Reading]:
        if self._gpus is None:
            self._gpus = _gpus()
        for number, gpu in enumerate(self._gpus):
            with contextlib.suppress(Exception):  # a card may vanish, its driver be reloaded
                yield from _gpu_readings(number, gpu)


@dataclass
class Collector:
    """Publishes what `host` measures to the topic that metrics are read from.

    Each reading becomes an event of every model in `models`, as measured on the host `name`.
    """

    host: Host
    sink: Sink
    topic: str
    name: str
    models: Sequence[str]

    def collect(self, now: float, steady: float) -> int:
        """Measures and publishes once; gives the number of events that arrived. One that does not
        is not sent again: the next measurement says more."""
        readings = [r for r in self.host.readings(steady) if math.isfinite(r.value)]
        messages = [self._message(model, r, now) for model in self.models for r in readings]
        refused = [why for why in self.sink.publish(messages, SEND_S) if why is not None]
        if refused:
            log.warning("measurements of the host were lost", events=len(refused), why=refused[0])
        return len(messages) - len(refused)

    def _message(self, model: str, reading: Reading, now: float) -> Message:
        metric = Metric(
            id=uuid.uuid4().hex,
            time=moment(now),
            model_name=model,
            name=reading.name,
            value=reading.value,
            unit=reading.unit,
            host=self.name,
        )
        return event_message(metric, self.topic)


def _levels(folder: str) -> Iterator[Reading]:
    cores = os.cpu_count() or 1
    memory, swap, disk = psutil.virtual_memory(), psutil.swap_memory(), psutil.disk_usage(folder)
    yield Reading("host.load_per_core", psutil.getloadavg()[0] / cores)
    yield Reading("host.memory_used", memory.percent / 100.0, "share")
    yield Reading("host.swap_used", swap.percent / 100.0, "share")
    yield Reading("host.disk_used", disk.percent / 100.0, "share")


def _counters() -> Mapping[str, float]:
    """What only grows: operations and bytes since the host started."""
    times = psutil.cpu_times()
    idle = times.idle + getattr(times, "iowait", 0.0)
    found: dict[str, float] = dict(zip(_CPU, (sum(times[:8]) - idle, idle), strict=True))
    disks, nets = psutil.disk_io_counters(), psutil.net_io_counters()
    if disks is not None:
        found |= {
            "disk_read_bytes": disks.read_bytes,
            "disk_written_bytes": disks.write_bytes,
            "disk_operations": disks.read_count + disks.write_count,
        }
    if nets is not None:
        found |= {
            "net_received_bytes": nets.bytes_recv,
            "net_sent_bytes": nets.bytes_sent,
            "net_errors": nets.errin + nets.errout + nets.dropin + nets.dropout,
        }
    return found


def _gpus() -> Sequence[Any]:
    """Handles of the cards of NVIDIA, if the extra `gpu` and a driver are installed."""
    try:
        import pynvml
    except ImportError:
        return ()
    try:
        pynvml.nvmlInit()
        count = min(pynvml.nvmlDeviceGetCount(), _GPUS)
        return [pynvml.nvmlDeviceGetHandleByIndex(number) for number in range(count)]
    except pynvml.NVMLError as error:
        log.info("no graphics card is measured", reason=str(error))
        return ()


def _gpu_readings(number: int, gpu: Any) -> Iterator[Reading]:
    import pynvml

    used, memory = pynvml.nvmlDeviceGetUtilizationRates(gpu), pynvml.nvmlDeviceGetMemoryInfo(gpu)
    yield Reading(f"host.gpu{number}_used", used.gpu / 100.0, "share")
    yield Reading(f"host.gpu{number}_memory_used", memory.used / memory.total, "share")
    heat = pynvml.nvmlDeviceGetTemperature(gpu, pynvml.NVML_TEMPERATURE_GPU)
    yield Reading(f"host.gpu{number}_celsius", float(heat), "°C")
