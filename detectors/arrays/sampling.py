"""Samples of the closed windows of many models: what the signals' `samples` give, as columns."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from watchkeeper.detectors.arrays import (
    sampled_accuracy,
    sampled_features,
    sampled_output,
    sampled_serving,
)
from watchkeeper.detectors.arrays.closed import Closed, Group
from watchkeeper.detectors.arrays.reference import References
from watchkeeper.detectors.arrays.schema import Schema
from watchkeeper.detectors.arrays.tally import Tally
from watchkeeper.detectors.arrays.tiers import Tiers
from watchkeeper.detectors.banks.columns import Columns
from watchkeeper.detectors.frames import BoolArray, FloatArray, IntArray


class Targets(NamedTuple):
    """The series of one of the columns that `sampled` gives."""

    signal: str
    targets: tuple[str, ...]


class Windows(NamedTuple):
    """Closed windows [start, end): rows of a tally and of its references, all of length R.

    `live` says that the version is the live one: its silence is told too.
    """

    slots: IntArray
    refs: IntArray
    start: FloatArray
    end: FloatArray
    live: BoolArray


def targets_of(schema: Schema) -> list[Targets]:
    """Which columns `sampled` gives for a schema, in its order."""
    return [Targets(each.signal, each.targets) for each in _groups(schema)]


def sampled(tally: Tally | Tiers, references: References, windows: Windows) -> list[Columns]:
    """The samples of closed windows.

    Cut long lists of windows: a few hundred at once are fastest.
    """
    closed = Closed(tally, references, windows.slots, windows.refs, windows.live)
    made = []
    with np.errstate(all="ignore"):  # what is not given is computed along, and not looked at
        for group in _groups(tally.schema):
            found = group.measure(closed)
            made.append(
                Columns(
                    signal=group.signal,
                    targets=group.targets,
                    start=windows.start,
                    at=windows.end,
                    **found._asdict(),
                )
            )
    return made


@lru_cache(maxsize=1_024)
def _groups(schema: Schema) -> tuple[Group, ...]:
    """All groups of series, signals in the order of `SIGNALS`."""
    return tuple(_all_groups(schema))


def _all_groups(schema: Schema) -> Iterator[Group]:
    yield from sampled_accuracy.groups(schema)
    yield from (sampled_serving.CLIENTS, sampled_serving.ERRORS)
    yield from sampled_features.groups(schema)
    yield from sampled_accuracy.groups_of_labels(schema)
    yield sampled_serving.LATENCY
    yield from sampled_output.groups(schema)
    yield sampled_serving.VOLUME
