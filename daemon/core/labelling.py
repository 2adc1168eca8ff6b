"""Counts labels by who told them, for the models whose labels name a source: these are few."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from watchkeeper.daemon.core.cuts import cuts
from watchkeeper.daemon.core.heard import Heard
from watchkeeper.daemon.core.joined import Joined
from watchkeeper.daemon.core.state import State
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
    from watchkeeper.daemon.core.step import Step

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


def tell_apart(state: State, closing: Closing, step: Step) -> None:
    """Decides which sources of a closed window's labels are told apart: all others are one."""
    model = closing.model
    here = model.partials.get(closing.index, {})
    parts = {version: part for (version, name), part in here.items() if name == _LABELS.name}
    if not parts and model.heard is None:
        return
    counts = Counter[str]()
    for part in parts.values():
        counts.update(counts_of(part))
    every = max(_add_totals(state, closing, parts), counts.total())
    if not every:
        return
    if model.heard is None:
        if not counts:
            return
        model.heard = Heard()
    gone = model.heard.hear(closing.index, counts, every)
    model.heard.keep(model.versions)
    for series in [s for s in model.judges if _source(s) in gone]:
        step.let_go(series, model.dismiss(series))
    for part in parts.values():
        if isinstance(part, Told):
            part.fold(model.heard.apart)


def _add_totals(state: State, closing: Closing, parts: Mapping[str, Partial]) -> int:
    """Tells the parts of a closed window how many labels say anything of their version's answers,
    whoever told them; gives how many labels there are of all versions."""
    ledger, said = state.arrays.ledger, Counter[str]()
    for slot in closing.slots:
        version = ledger.names[ledger.open.slots[slot].member].version
        n, correct = ledger.open.paired(slot)
        said[version] = n
        if version in parts:
            parts[version][ALL] = np.array([n, n - correct], dtype=np.int64)
    for (version, name), part in closing.model.partials.get(closing.index, {}).items():
        if name == "accuracy" and ERRORS in part:
            said[version] = max(said[version], int(part[ERRORS][0]))
    return said.total()


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
