"""Labels that are not believed: left out of what is learned, and of what is compared with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec
import numpy as np

from watchkeeper.detectors.signals.labels import OTHERS
from watchkeeper.detectors.types import BoolArray, Scalar
from watchkeeper.handlers.examples import Examples

_WITHOUT, _APART = "without_sources", "sources_told_apart"  # JSON lists of names


@dataclass(frozen=True, slots=True)
class LeftOut:
    """The `sources` whose labels do not count; where those that are not told apart are among them,
    `apart` names those that are."""

    sources: frozenset[str] = frozenset()
    apart: frozenset[str] = frozenset()

    @classmethod
    def of(cls, sources: Iterable[str], known: Iterable[str]) -> LeftOut:
        """These, of a model whose sources have these names."""
        out = frozenset(sources)
        return cls(out, frozenset(known) - {OTHERS} if OTHERS in out else frozenset())

    @classmethod
    def of_args(cls, args: Mapping[str, Scalar]) -> LeftOut:
        """As an action remembers it."""
        return cls(_unlisted(args.get(_WITHOUT)), _unlisted(args.get(_APART)))

    def args(self) -> dict[str, Scalar]:
        """For an action to remember."""
        named = {_WITHOUT: self.sources, _APART: self.apart}
        return {key: _listed(names) for key, names in named.items() if names}

    def kept(self, examples: Examples) -> BoolArray:
        """Which examples count."""
        source = [] if examples.source is None else examples.source.tolist()
        if not self.sources or not source:
            return np.ones(len(examples), dtype=np.bool_)
        others = OTHERS in self.sources
        out = [
            s in self.sources or (others and s is not None and s not in self.apart) for s in source
        ]
        return ~np.array(out, dtype=np.bool_)

    def __str__(self) -> str:
        return ", ".join(sorted(self.sources))


def _listed(names: Iterable[str]) -> str:
    return msgspec.json.encode(sorted(names)).decode()


def _unlisted(text: Scalar | None) -> frozenset[str]:
    listed = msgspec.json.decode(text, type=list[str]) if isinstance(text, str) else []
    return frozenset(listed)
