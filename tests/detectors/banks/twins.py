"""The same samples before a bank and before one detector a series, and what each of them found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np

from watchkeeper.detectors.banks import Bank, Columns, bank_for
from watchkeeper.detectors.blocks import Member
from watchkeeper.detectors.frames import BoolArray, FloatArray, IntArray
from watchkeeper.detectors.registry import make
from watchkeeper.detectors.suite import Watch
from watchkeeper.detectors.types import Detector, Finding, Samples

MINUTE, HOUR, WEEK = 60.0, 3_600.0, 604_800.0
STRANGE = (np.nan, np.inf, -np.inf, 1e300, -1e300, 1e-300, -1.0, 0.0, -0.0, 1.0)

Plain = tuple[str, ...]


def plain(finding: Finding) -> Plain:
    """A finding by which two can be compared to the last bit, also where a number is NaN."""
    return tuple(repr(value) for value in msgspec.structs.astuple(finding))


def members(rows: IntArray) -> list[Member]:
    """Who the rows are."""
    return [Member(f"model-{row}", "1") for row in rows.tolist()]


def bank_of(watch: Watch, columns: int) -> Bank:
    """The bank of a watch that has one."""
    bank = bank_for(watch, columns)
    assert bank is not None
    return bank


def by_bank(bank: Bank, watch: Watch, rows: IntArray, samples: Columns) -> list[Plain]:
    """What a bank finds, row by row."""
    judged = bank.judge(rows, samples)
    return [plain(found) for _, found in judged.findings(samples, members(rows), watch)]


class Alone:
    """One detector a series."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._detectors: dict[tuple[int, int], Detector] = {}

    def at(self, row: int, column: int) -> Detector:
        """The detector of one series."""
        if (row, column) not in self._detectors:
            watch = self._watch
            self._detectors[row, column] = make(watch.detector, watch.settings, watch.severity)
        return self._detectors[row, column]

    def judge(self, rows: IntArray, samples: Columns) -> list[Plain]:
        """What the detectors find, row by row."""
        found: list[Plain] = []
        who = members(rows)
        for place, column in np.argwhere(samples.given).tolist():
            sample = samples.sample(place, column, who[place].model, who[place].version)
            detector = self.at(int(rows[place]), column)
            found += map(plain, detector.update(Samples.of([sample])))
        return found


def windows(
    random: np.random.Generator,
    watch: Watch,
    shape: tuple[int, int],
    count: int,
    *,
    odd: float = 0.02,
    bins: int = 8,
) -> list[Columns]:
    """Windows one after another for so many rows and columns: normal stretches, faults, gaps.

    `odd` is the share of samples that are not there, or NaN, infinite, huge, tiny or negative.
    What the watch's detector judges decides the levels, the widths and the pace.
    """
    levels = {"silence": [3.0, 50.0], "seasonal": [50.0, 3e4]}
    level = random.choice(levels.get(watch.detector, [0.0, 0.02, 0.3, 0.9, 50.0, 3e4]), shape)
    spread = level * random.choice([0.0, 0.01, 0.2], shape)
    factor = random.choice([0.0, 0.5, 1.5, 3.0], shape)
    size = random.choice([1, 40, 300, 20_000], shape)
    width = HOUR if watch.detector == "seasonal" else MINUTE
    gap = WEEK if watch.detector == "seasonal" else 50 * MINUTE
    at: FloatArray = np.floor(random.random(shape[0]) * 1e6) * MINUTE
    bad = np.zeros(shape, dtype=np.bool_)
    usual = random.multinomial(2_000, np.full(bins, 1 / bins), (shape[0], 1))
    made = []
    for _ in range(count):
        bad = bad ^ (random.random(shape) < np.where(bad, 0.1, 0.02))
        value = random.normal(level, spread) * np.where(bad, factor, 1.0)
        n = random.poisson(np.where(random.random(shape) < 0.05, 0, size)).astype(np.int64)
        stderr = np.where(random.random(shape) < 0.3, np.nan, np.abs(spread) / 3)
        samples = Columns(
            signal=watch.signal,
            targets=tuple(f"t{i}" for i in range(shape[1])),
            start=at,
            at=at + width,
            given=random.random(shape) >= odd,
            value=_odd(random, value, odd),
            n=n,
            stderr=_odd(random, stderr, odd),
            expected=_odd(random, level, odd),
        )
        made.append(samples if watch.detector != "psi" else _shaped(random, samples, usual, bad))
        at = at + np.where(random.random(shape[0]) < (0.6 if gap == WEEK else 0.02), gap, width)
    return made


def stretched(samples: Columns) -> Columns:
    """The same samples in arrays whose numbers do not lie next to each other."""

    def apart(values: FloatArray) -> FloatArray:
        return np.stack([values, values + 1.0], axis=-1)[..., 0]

    return replace(
        samples,
        start=apart(samples.start),
        at=apart(samples.at),
        value=np.asfortranarray(samples.value),
        stderr=apart(samples.stderr),
        expected=np.asfortranarray(samples.expected),
    )


def together(parts: Sequence[Columns]) -> Columns:
    """The rows of several columns of the same series, one behind the other."""

    def joined(name: str) -> Any:
        arrays = [getattr(part, name) for part in parts]
        return None if arrays[0] is None else np.concatenate(arrays)

    arrays = ("start", "at", "given", "value", "n", "stderr", "expected")
    histograms = ("counts", "expected_counts", "bins")
    return replace(parts[0], **{name: joined(name) for name in (*arrays, *histograms)})


def _odd(random: np.random.Generator, values: FloatArray, share: float) -> FloatArray:
    strange = random.choice(STRANGE, values.shape)
    return np.where(random.random(values.shape) < share, strange, values)


def _shaped(
    random: np.random.Generator, samples: Columns, usual: IntArray, bad: BoolArray
) -> Columns:
    """The samples with histograms, of another shape where it is bad."""
    bins = usual.shape[2]
    shares = random.dirichlet(np.full(bins, 5.0), samples.n.shape)
    normal = random.multinomial(samples.n, np.full(bins, 1 / bins))
    counts = np.where(bad[..., None], random.multinomial(samples.n, shares), normal)
    expected = np.broadcast_to(usual, counts.shape).copy()
    width = random.integers(1, bins + 1, samples.n.shape)
    unused = np.arange(bins) >= width[..., None]
    counts[unused], expected[unused] = 0, 0
    return replace(samples, counts=counts, expected_counts=expected, bins=width)
