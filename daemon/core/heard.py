"""Who tells the labels of a model: which sources are told apart, and what is known of each."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec

from watchkeeper.detectors.signals.labels import OTHERS, SOURCES
from watchkeeper.handlers.types import SourceRecord

REMEMBERED = 2 * SOURCES  # sources that it is known of how much they told of late
HALF_LIFE = 720.0  # windows in which a label comes to count half
LEAST = 0.5  # labels below which a source is forgotten
CLEARLY = 2.0  # times as many labels as another's take its place


class Heard(msgspec.Struct):
    """How many labels each source of a model told of late, up to `window`; `named` counts those of
    all sources, `every` those of nobody, too. Those `apart` are told apart. `agreed` counts, by
    source and version, the windows in which its labels said no worse of the version than before;
    `rest` is when each version was last judged without the labels of the source that stands out.
    It is all decided as windows close, so that it hangs neither on batches nor on partitions.
    """

    used: dict[str, float] = {}
    apart: list[str] = []
    agreed: dict[str, dict[str, int]] = {}
    rest: dict[str, float] = {}
    every: float = 0.0
    named: float = 0.0
    window: int = 0

    def hear(self, window: int, counts: Mapping[str, int], every: int) -> set[str]:
        """So many labels came with a window, by source and in all; gives the sources that are not
        told apart any more."""
        fade = 0.5 ** (max(0, window - self.window) / HALF_LIFE)
        self.used = {name: n * fade for name, n in self.used.items() if n * fade >= LEAST}
        self.every = self.every * fade + every
        self.named = self.named * fade + sum(counts.values())
        self.window = window
        for name, n in counts.items():
            if name != OTHERS and n:
                self.used[name] = self.used.get(name, 0.0) + n
        before = set(self.apart)
        self._choose()
        self._bound()
        return before - set(self.apart)

    def agree(self, version: str, source: str) -> None:
        """A source judged a version in one more window, and had nothing new to say."""
        by_version = self.agreed.setdefault(source, {})
        by_version[version] = by_version.get(version, 0) + 1

    def keep(self, versions: Collection[str]) -> None:
        """Forgets what is known of other versions."""
        self.rest = {v: at for v, at in self.rest.items() if v in versions}
        for source, known in self.agreed.items():
            self.agreed[source] = {v: n for v, n in known.items() if v in versions}

    def records(self) -> tuple[SourceRecord, ...]:
        """What rules are told: of all sources that are not told apart as of one."""
        told = {name: self.used[name] for name in self.apart}
        others = self.named - sum(told.values())
        if others >= LEAST:
            told[OTHERS] = others
        every = max(self.every, LEAST)
        return tuple(
            SourceRecord(name, n / every, self.agreed.get(name, {})) for name, n in told.items()
        )

    def _choose(self) -> None:
        """Keeps those apart that were, but for such as others clearly tell more than."""
        by_use = sorted(self.used, key=lambda name: (-self.used[name], name))
        before = set(self.apart)
        apart = [name for name in by_use if name in before]
        others = [name for name in by_use if name not in before]
        room = SOURCES - 1 - len(apart)
        apart, others = [*apart, *others[:room]], others[room:]
        apart.sort(key=lambda name: (-self.used[name], name))
        for name in others:
            if self.used[name] <= CLEARLY * self.used[apart[-1]]:
                break
            apart = sorted([*apart[:-1], name], key=lambda each: (-self.used[each], each))
        self.apart = sorted(apart)

    def _bound(self) -> None:
        """Forgets what is known of all but twice as many sources as are told apart."""
        further = [name for name in self.used if name not in self.apart]
        further.sort(key=lambda name: (-self.used[name], name))
        for name in further[REMEMBERED - len(self.apart) :]:
            del self.used[name]
        for name in [name for name in self.agreed if name not in (*self.apart, OTHERS)]:
            del self.agreed[name]
