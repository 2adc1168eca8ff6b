"""The open windows of all models: rows of tallies, and what they are measured against."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from watchkeeper.daemon.core.tables import PLAIN, Held, Tables
from watchkeeper.detectors.arrays import tally as t
from watchkeeper.detectors.arrays.grown import Grown
from watchkeeper.detectors.types import IntArray

NO_WINDOW = -(2**62)

# What a tally holds with or without a reference; the rest is measured against one.
_FREE_HEAD = [t.N, t.OK, t.ERROR, t.TIMEOUT, t.INVALID, t.PAIRS, t.CORRECT]
_FREE_HEAD += [t.TN, t.FP, t.FN, t.TP, t.SCORED]
_FREE = ("durations", "clients", "scores", "losses")


@dataclass(slots=True)
class Slot:
    """One open window of one member; its row in the tally, and what it is measured against."""

    member: int
    window: int
    table: int
    row: int
    held: Held | None


class Openings:
    """Open windows by number (`slot`). `rows` holds of each: `table`, `row` there, `ref` (the
    reference's row), and `n`: no count of the row is above it.

    `members` is what the ledger has of members.
    """

    def __init__(self, tables: Tables, members: Grown) -> None:
        self.tables = tables
        self._members = members
        self.rows = Grown(dict.fromkeys(("table", "row", "ref", "n"), (np.int64, ())))
        self.slots: dict[int, Slot] = {}
        self._open: dict[tuple[int, int], list[int]] = {}  # model, window: slots
        self._at: dict[int, tuple[int, ...]] = {}  # member: slots, seldom more than two
        self._begun: Counter[int] = Counter()  # model: members with slots

    def slots_of(self, model: int, window: int) -> list[int]:
        """The slots of a model's window, one for each version that was counted in it."""
        return list(self._open.get((model, window), ()))

    def begun(self, model: int) -> int:
        """How many versions of a model have open windows."""
        return self._begun[model]

    def place(self, slots: Sequence[int]) -> tuple[IntArray, IntArray, IntArray]:
        """The tables, the tallies' rows and the references' rows of slots."""
        a, chosen = self.rows.arrays, np.array(slots, dtype=np.int64)
        return a["table"][chosen], a["row"][chosen], a["ref"][chosen]

    def close(self, slots: Sequence[int]) -> None:
        """Gives up windows that were judged."""
        for slot in slots:
            self.release(slot)

    def windows(self, members: Iterable[int]) -> list[int]:
        """The numbers of the windows that are open for some of these members, ascending."""
        slots = (slot for member in members for slot in self._at.get(member, ()))
        return sorted({self.slots[slot].window for slot in slots})

    def put(self, member: int, window: int, held: Held | None) -> int:
        """Opens a member's window, without counts, to be measured against this reference."""
        table = PLAIN if held is None else held.table
        row, slot = self.tables[table].tally.claim_one(), self.rows.claim_one()
        a = self.rows.arrays
        a["table"][slot], a["row"][slot] = table, row
        if held is not None:
            held.holders += 1
            a["ref"][slot] = held.row
        self.slots[slot] = Slot(member, window, table, row, held)
        model = int(self._members.arrays["model"][member])
        self._begun[model] += member not in self._at
        self._at[member] = *self._at.get(member, ()), slot
        self._open.setdefault((model, window), []).append(slot)
        return slot

    def dump(self, slots: Sequence[int]) -> list[bytes]:
        """The counts of windows (`load` takes them back)."""
        tables, rows, _ = self.place(slots)
        found = [b""] * len(slots)
        for table, which in _by_code(tables) if len(slots) else ():
            places = range(len(slots)) if which is None else which.tolist()
            packed = self.tables[table].tally.dump(rows if which is None else rows[which])
            for place, each in zip(places, packed, strict=True):
                found[place] = each
        return found

    def load(self, slot: int, counts: bytes) -> None:
        """Fills an open window. Raises ValueError where the counts are of another schema."""
        here, a = self.slots[slot], self.rows.arrays
        of = self.tables[here.table].tally
        row = of.load(counts)
        of.release_one(here.row)
        here.row = a["row"][slot] = row
        tally, place = of.at(row)
        head = tally.arrays["head"][place]
        a["n"][slot] = head[t.N] + head[t.SCORED]

    def counts(self, slot: int) -> dict[str, npt.NDArray[Any]]:
        """All that was counted in a window, for whoever adds it up elsewhere."""
        here = self.slots[slot]
        tally, row = self.tables[here.table].tally, np.array([here.row])
        return {name: tally.counted(name, row)[0] for name in tally.large.arrays}

    def room(self, slot: int) -> dict[str, npt.NDArray[Any]]:
        """The same to be added to: any number of events."""
        if self.slots[slot].row >= 0:
            self.widen(slot)
        here = self.slots[slot]
        return {n: a[~here.row] for n, a in self.tables[here.table].tally.large.arrays.items()}

    def answered(self, slot: int) -> int:
        """How many predictions a window has."""
        here = self.slots[slot]
        tally, row = self.tables[here.table].tally.at(here.row)
        return int(tally.arrays["head"][row, t.N])

    def paired(self, slot: int) -> tuple[int, int]:
        """How many predictions of a window have their truth, and how many of these are right."""
        here = self.slots[slot]
        tally, row = self.tables[here.table].tally.at(here.row)
        head = tally.arrays["head"][row]
        return int(head[t.PAIRS]), int(head[t.CORRECT])

    def at(self, member: int, window: int) -> int | None:
        """The slot of a member's window; None: it is not open."""
        slots = self._at.get(member, ())
        return next((slot for slot in slots if self.slots[slot].window == window), None)

    def open_slots(self, member: int) -> list[tuple[int, int]]:
        """The member's open windows and their slots, in order."""
        return sorted((self.slots[slot].window, slot) for slot in self._at.get(member, ()))

    def widen(self, slot: int) -> None:
        """There are more events to come than small integers count."""
        here = self.slots[slot]
        here.row = self.rows.arrays["row"][slot] = self.tables[here.table].tally.widen(here.row)

    def remeasure(self, slot: int, held: Held | None) -> None:
        """Measures a window against another reference from now on: what was measured against the
        one before begins anew."""
        old = self.slots[slot]
        kept = self._kept(old)
        self.release(slot)
        self._fill(self.put(old.member, old.window, held), kept)

    def release(self, slot: int) -> None:
        """Gives a window up."""
        here = self.slots.pop(slot)
        of = self.tables[here.table]
        of.tally.release_one(here.row)
        if here.held is not None:
            of.release(here.held)
        self.rows.release_one(slot)
        a = self._members.arrays
        key = int(a["model"][here.member]), here.window
        left = tuple(each for each in self._at.pop(here.member) if each != slot)
        if left:
            self._at[here.member] = left
        else:
            self._begun[key[0]] -= 1
        if a["window"][here.member] == here.window:
            a["window"][here.member] = NO_WINDOW
        self._open[key].remove(slot)
        if not self._open[key]:
            del self._open[key]

    def _kept(self, slot: Slot) -> dict[str, npt.NDArray[Any]]:
        """What was counted without looking at a reference."""
        tally, row = self.tables[slot.table].tally.at(slot.row)
        kept = {name: tally.counted(name, np.array([row]))[0] for name in _FREE}
        return {"head": tally.arrays["head"][row, _FREE_HEAD], **kept}

    def _fill(self, slot: int, kept: dict[str, npt.NDArray[Any]]) -> None:
        into = self.room(slot)
        into["head"][_FREE_HEAD] = kept.pop("head")
        for name, array in kept.items():
            into[name][...] = array


def _by_code(codes: IntArray) -> Iterator[tuple[int, IntArray | None]]:
    """The different codes, with the rows that have each; None: all."""
    if (codes == codes[0]).all():
        yield int(codes[0]), None
        return
    for each in np.unique(codes).tolist():
        yield each, np.flatnonzero(codes == each)
