"""Counts labels by who told them, for the models whose labels name a source: these are few."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from watchkeeper.daemon.core.cuts import cuts
from watchkeeper.daemon.core.heard import Heard
from watchkeeper.daemon.core.joined import Joined
from watchkeeper.daemon.core.model import ModelState, PartialKey
from watchkeeper.daemon.core.state import State
from watchkeeper.detectors.arrays import tally as t
from watchkeeper.detectors.signals.labels import (
    ALL,
    REST,
    SOURCE,
    Labels,
    Pairs,
    Told,
    counts_of,
    key_of,
)
from watchkeeper.detectors.types import IntArray, Partial, Sample, Series

if TYPE_CHECKING:
    from watchkeeper.daemon.core.closing import Closing

ERRORS = "errors"  # how many errors of a regressor the signal `accuracy` has summed up
_LABELS = Labels()


def count_sources(state: State, joined: Joined, members: IntArray, window: IntArray) -> None:
    """Counts what each source says of the answers into the windows of their versions."""
    if joined.source is None:
        return
    for cut in cuts(state, members, window, np.flatnonzero(~np.isnan(joined.source))):
        profile, rows = cut.profile, cut.rows
        positive = key_of(None if profile is None else profile.positive)
        different, place = np.unique(joined.source[rows], return_inverse=True)
        names = [state.arrays.sources.name(int(n)) for n in different.tolist()]
        said = (joined.predicted_label[rows], joined.label[rows], positive, joined.score[rows])
        pairs = Pairs(*said, joined.predicted_value[rows], joined.value[rows])
        cut.part(_LABELS.name).merge(_LABELS.by_source(names, place, pairs))


def add_totals(state: State, model: ModelState, index: int, slots: list[int]) -> None:
    """Tells the windows of a model's versions, which are closed, how many labels came in all."""
    parts = model.partials.get(index)
    if not parts:
        return
    ledger = state.arrays.ledger
    for slot in slots:
        part = parts.get((ledger.names[ledger.open.slots[slot].member].version, _LABELS.name))
        if part is not None:
            head = ledger.open.counts(slot)["head"]
            n, correct = int(head[t.PAIRS]), int(head[t.CORRECT])
            part[ALL] = np.array([n, n - correct], dtype=np.int64)


def tell_apart(closing: Closing) -> None:
    """Decides which sources of a closed window's labels are told apart: all others are one."""
    model = closing.model
    here = model.partials.get(closing.index, {})
    parts = {version: part for (version, name), part in here.items() if name == _LABELS.name}
    counts = Counter[str]()
    for part in parts.values():
        counts.update(counts_of(part))
    if not counts:
        return
    if model.heard is None:
        model.heard = Heard()
    every = sum(_labels_of(here, version) for version in parts)
    gone = model.heard.hear(closing.index, counts, every)
    model.heard.keep(model.versions)
    for series in [s for s in model.judges if _source(s) in gone]:
        del model.judges[series]
    for part in parts.values():
        if isinstance(part, Told):
            part.fold(model.heard.apart)


def _labels_of(parts: Mapping[PartialKey, Partial], version: str) -> int:
    """How many labels say anything of a version's answers, whoever told them."""
    said = parts[version, _LABELS.name].get(ALL)
    off = parts.get((version, "accuracy"), Partial()).get(ERRORS)
    return max((int(each[0]) for each in (said, off) if each is not None), default=0)


def note_judged(closing: Closing, sample: Sample, found: bool) -> None:
    """Remembers which labels a version was judged by, once the detectors have; `found`: one of
    them found anything."""
    heard, series = closing.model.heard, sample.series
    if heard is None or series.signal != _LABELS.name:
        return
    judges = closing.model.judges.get(series, ())
    ready = [j for j in judges if getattr(j.detector, "ready", True)]
    if series.target in REST:
        if any(sample.n >= getattr(j.detector, "min_n", 0) for j in ready):
            heard.rest[series.version] = closing.window.end
        return
    source, known = _source(series), closing.verdicts.get(series.version, {})
    said = [known.get((series.signal, series.target, j.watch.detector)) for j in ready]
    if source is not None and not found and False in said:
        heard.agree(series.version, source)


def _source(series: Series) -> str | None:
    """The source that a series is about, if it is about one."""
    if series.signal != _LABELS.name or not series.target.startswith(SOURCE):
        return None
    return series.target.removeprefix(SOURCE)
