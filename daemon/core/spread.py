"""A model whose events lie in several partitions: counted as shares, merged where it is judged.

What one partition holds of such a model is a share: a model of its own, which joins and counts but
never judges. `take` empties its counts, and `merge` adds them to those of the whole model.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec.structs import replace

from watchkeeper.daemon.core.counting import Happened
from watchkeeper.daemon.core.measuring import CHANGES_LIMIT
from watchkeeper.daemon.core.model import ModelState, Told
from watchkeeper.daemon.core.openings import Slot
from watchkeeper.daemon.core.state import State
from watchkeeper.daemon.core.step import Step
from watchkeeper.daemon.core.stored import members_of
from watchkeeper.daemon.core.versions import met, release_old
from watchkeeper.detectors.arrays import tally as t
from watchkeeper.detectors.blocks import Member
from watchkeeper.detectors.estimation.delays import Delays
from watchkeeper.detectors.signals import part_of
from watchkeeper.detectors.types import Change

IDLE_S = 120.0  # after so long without news of a partition its model's windows close without it

WAITS_S = 600.0  # of event time, after which it is told anew how long labels take

TALLY, SEEN, BEGINS, CHANGES, WAITS = "tally", "seen", "begins", "changes", "waits"
# What a tally holds that hangs on no reference.
_FREE_HEAD = [t.N, t.OK, t.ERROR, t.TIMEOUT, t.INVALID, t.PAIRS, t.CORRECT]
_FREE_HEAD += [t.TN, t.FP, t.FN, t.TP, t.SCORED]
_FREE = ("durations", "clients", "scores", "losses")

Array = npt.NDArray[Any]


class Counted(NamedTuple):
    """What one share counted of one window of a version, since it was last asked.

    `reference` is the digest of what it was measured against, "" for nothing.
    """

    version: str
    signal: str
    window: int
    reference: str
    arrays: dict[str, Array]


class Merge(NamedTuple):
    """The counts of one share, for the whole model; `numbers` is how many partitions hold it.

    `end` numbers the messages of the partition `number` that are merged with this one; `mark` is
    how far event time has come there.
    """

    model: str
    number: int
    numbers: int
    end: int
    epoch: int
    mark: float
    parts: Sequence[Counted]


# ------------------------------------------------------------------------------------- of a share


def take(share: ModelState) -> list[Counted]:
    """Everything counted since the last call; the share begins anew."""
    share.settle()
    found = [*_begun(share), *_seen(share), *_changes(share), *_waits(share), *_counts(share)]
    for window, by_key in sorted(share.partials.items()):
        for (version, signal), partial in sorted(by_key.items()):
            found.append(Counted(version, signal, window, "", dict(partial)))
    share.partials.clear()
    release_old(share)
    return found


def age(state: State, names: Iterable[str]) -> None:
    """Lets the shares' time pass: what they cannot count into any more is the whole model's."""
    clocks, joins = state.arrays.clocks, state.arrays.joins
    rows = np.array(sorted(state.models[name].row for name in names), dtype=np.int64)
    for row in clocks.due(rows).tolist():
        share = state.by_row[row]
        assert share.share is not None
        if share.share.begins is None:
            share.share.begins = share.next_window
        share.next_window = clocks.stop(row)
        joins.settle([row])


def _begun(share: ModelState) -> Iterator[Counted]:
    of = share.share
    assert of is not None
    begins = share.next_window if of.begins is None else of.begins
    if not of.sent and begins is not None:
        yield Counted("", BEGINS, begins, "", {})


def _seen(share: ModelState) -> Iterator[Counted]:
    for version, record in sorted(share.versions.items()):
        if record.predictions:
            seen = [record.first_seen, record.last_seen, float(record.predictions)]
            share.versions[version] = replace(record, predictions=0)
            yield Counted(version, SEEN, 0, "", {SEEN: np.array(seen)})


def _changes(share: ModelState) -> Iterator[Counted]:
    if share.changes:
        text = np.frombuffer(msgspec.json.encode(share.changes), dtype=np.uint8)
        share.changes.clear()
        yield Counted("", CHANGES, 0, "", {CHANGES: text})


def _waits(share: ModelState) -> Iterator[Counted]:
    """How long labels take, of the kept predictions: what was told of them before is void."""
    of, now = share.share, share.mark.newest
    assert of is not None
    if not now - of.waited >= WAITS_S:
        return
    ages, waits = share.arrays.joins.held.waits(share.row, now)
    if len(ages):
        of.waited = now
        table = Delays.of(ages, waits)
        yield Counted("", WAITS, 0, "", {WAITS: np.stack([table.risk, table.came])})


def _counts(share: ModelState) -> Iterator[Counted]:
    ledger = share.arrays.ledger
    for version, member in members_of(share):
        for window, slot in ledger.open.open_slots(member):
            yield Counted(
                version,
                TALLY,
                window,
                _reference(ledger.open.slots[slot]),
                ledger.open.counts(slot),
            )
            ledger.open.close([slot])


# ------------------------------------------------------------------------------- of the whole model


def merge(state: State, merges: Iterable[Merge], step: Step) -> None:
    """Adds what shares counted to what is open of their models."""
    for each in merges:
        model = state.model(each.model)
        state.spread.add(each.model)
        heed_shares(state, each.model)
        for number in range(each.numbers):
            model.links.setdefault(number, Told())
        known = model.links.get(each.number, Told())
        waits, mark = known.waits, max(each.mark, known.mark)
        for part in each.parts:
            if part.signal == WAITS:
                waits = part.arrays[WAITS].astype("<i8").tobytes()
            else:
                _merge(state, model, part)
        model.links[each.number] = Told(each.end, each.epoch, mark, model.last_tick, waits)
        step.dirty.add(each.model)


def heed_shares(state: State, name: str) -> None:
    """From now on only what is told of its shares moves a model's time, and no tick."""
    state.arrays.clocks.arrays["live"][state.models[name].row] = False


def follow(state: State, step: Step) -> None:
    """Moves the times of spread models to where all of their partitions have come."""
    clocks = state.arrays.clocks.arrays
    for name in sorted(state.spread):
        model = state.models[name]
        now, marks = model.last_tick, []
        for link in model.links.values():
            if math.isfinite(now) and not math.isfinite(link.heard):
                link.heard = now
            if not now - link.heard > IDLE_S:
                marks.append(link.mark)
        mark = min(marks, default=-math.inf)
        if mark > clocks["newest"][model.row]:
            clocks["newest"][model.row] = mark
            step.dirty.add(name)
        if model.next_window is None and mark > -math.inf:
            members = [member for _, member in members_of(model)]
            held = [*state.arrays.ledger.open.windows(members), *model.partials]
            model.next_window = min(held, default=None)


def _merge(state: State, model: ModelState, part: Counted) -> None:
    if part.signal == SEEN:
        _meet(state, model, part)
    elif part.signal == CHANGES:
        text = part.arrays[CHANGES].tobytes()
        model.changes.extend(msgspec.json.decode(text, type=list[Change]))
        model.changes.sort(key=lambda change: change.time)
        del model.changes[:-CHANGES_LIMIT]
    elif part.signal == BEGINS:
        _begin(model, part.window)
    elif model.next_window is not None and part.window < model.next_window:
        _late(state, model, part)
    elif part.signal == TALLY:
        _add(state, model, part)
    else:
        into = model.partials.setdefault(part.window, {})
        into.setdefault((part.version, part.signal), part_of(part.signal)).merge(part.arrays)


def _begin(model: ModelState, window: int) -> None:
    """The model's first window is the first of any share's, as long as none has closed."""
    if model.mark.newest == -math.inf:
        known = model.next_window
        model.next_window = window if known is None else min(known, window)


def _meet(state: State, model: ModelState, part: Counted) -> None:
    first, last, n = part.arrays[SEEN].tolist()
    row = met(state, Member(model.model, part.version), first)
    version = state.arrays.ledger.names[row].version
    record = model.versions[version]
    model.versions[version] = replace(
        record,
        first_seen=min(record.first_seen, first),
        last_seen=max(record.last_seen, last),
        predictions=record.predictions + int(n),
    )


def _late(state: State, model: ModelState, part: Counted) -> None:
    n = int(part.arrays["head"][t.N]) if part.signal == TALLY else 1
    state.counting.add_to(Happened.LATE, model.row, n)


def _add(state: State, model: ModelState, part: Counted) -> None:
    ledger, width = state.arrays.ledger, state.policy(model.model).window_s
    row = met(state, Member(model.model, part.version), part.window * width)
    slot = dict(ledger.open.open_slots(row)).get(part.window)
    if slot is None:
        held = ledger.reference(row, part.window * width)
        slot = ledger.open.put(row, part.window, held)
    into = ledger.open.room(slot)
    if _alike(into, ledger.open.slots[slot], part):
        for name, counts in part.arrays.items():
            into[name] += counts
        return
    # Of another reference: what needs none counts all the same.
    into["head"][_FREE_HEAD] += part.arrays["head"][_FREE_HEAD]
    for name in _FREE:
        into[name] += part.arrays[name]


def _alike(into: dict[str, Array], here: Slot, part: Counted) -> bool:
    same = _reference(here) == part.reference
    return same and all(part.arrays[name].shape == array.shape for name, array in into.items())


def _reference(slot: Slot) -> str:
    """The digest of what a window is measured against, "" for nothing."""
    return "" if slot.held is None else slot.held.digest
