"""Metrics of models as plain numbers, which go when their model goes."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Iterator

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from watchkeeper.daemon.reporting.families import Empty, Family
from watchkeeper.daemon.reporting.metric_names import Name

Key = tuple[str, ...]  # a metric's name, and the values of its labels but for the model's


class ByModel(Collector):
    """Keeps numbers by model, and makes metrics of them when somebody reads them. From any thread.

    A model has dozens of them: prometheus_client takes 900 bytes for each, and locks twice to set
    one; here one takes about 80. Counters are those whose names end so.
    """

    def __init__(self, families: Iterable[Family]) -> None:
        self._families = {family.name: family for family in families}
        self._lock = threading.Lock()
        self._numbers: dict[str, dict[Key, float]] = {}
        self._common = {family.name for family in self._families.values() if family.common}
        self._of_shares = {family.name for family in self._families.values() if family.of_shares}
        self._keys: dict[Key, Key] = {}  # of those: each once, whichever models have it

    def set(self, name: Name, value: float, model: str, *labels: str) -> None:
        """It is this much now."""
        with self._lock:
            self._of(model)[self._key(name, labels)] = float(value)

    def add(self, name: Name, n: float, model: str, *labels: str) -> None:
        """It is so much more."""
        with self._lock:
            numbers, key = self._of(model), self._key(name, labels)
            numbers[key] = numbers.get(key, 0.0) + n

    def drop(self, name: Name, model: str, *labels: str) -> None:
        """It is there no more, if it ever was."""
        with self._lock:
            self._numbers.get(model, {}).pop((name, *labels), None)

    def drop_all(self, name: Name, model: str) -> None:
        """None of the metric's numbers is there any more."""
        with self._lock:
            numbers = self._numbers.get(model, {})
            for key in [key for key in numbers if key[0] == name]:
                del numbers[key]

    def keep_only(self, models: Collection[str], shared: Collection[str] = ()) -> None:
        """All others are there no more; of those of which a share is left, what counts shares."""
        with self._lock:
            kept = {m: each for m, each in self._numbers.items() if m in models}
            for model in shared:
                numbers = self._numbers.get(model, {})
                kept[model] = {key: n for key, n in numbers.items() if key[0] in self._of_shares}
            self._numbers = kept

    def describe(self) -> list[Metric]:
        """What it has, without any numbers."""
        return [family.empty() for family in self._families.values()]

    def collect(self) -> Iterator[Metric]:
        """What it was told until now."""
        with self._lock:
            numbers = {model: dict(each) for model, each in self._numbers.items()}
        made: dict[str, Empty] = {name: family.empty() for name, family in self._families.items()}
        for model, each in numbers.items():
            for (name, *labels), value in each.items():
                made[name].add_metric([model, *labels], value)
        yield from made.values()

    def _of(self, model: str) -> dict[Key, float]:
        return self._numbers.setdefault(model, {})

    def _key(self, name: Name, labels: Key) -> Key:
        key = (name, *labels)
        return self._keys.setdefault(key, key) if name in self._common else key
