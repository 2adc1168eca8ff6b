"""The open windows of all models, counted in shared arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from watchkeeper.daemon.core import placing
from watchkeeper.detectors import fast
from watchkeeper.detectors.arrays import absorb
from watchkeeper.detectors.arrays import tally as t
from watchkeeper.detectors.arrays.absorb import Pairs
from watchkeeper.detectors.arrays.grown import Grown
from watchkeeper.detectors.arrays.reference import References
from watchkeeper.detectors.arrays.schema import Schema
from watchkeeper.detectors.arrays.tally import Tally
from watchkeeper.detectors.arrays.tiers import FEW, Tiers
from watchkeeper.detectors.blocks import Member, PredictionBlock
from watchkeeper.detectors.profile import Profile, digest
from watchkeeper.detectors.roster import Remembered
from watchkeeper.detectors.types import BoolArray, FloatArray, IntArray

NO_WINDOW = -(2**62)
_PLAIN = 0  # the table of windows that are compared with no reference

# What a tally holds with or without a reference; the rest is measured against one.
_FREE_HEAD = [t.N, t.OK, t.ERROR, t.TIMEOUT, t.INVALID, t.PAIRS, t.CORRECT]
_FREE_HEAD += [t.TN, t.FP, t.FN, t.TP, t.SCORED]
_FREE = ("durations", "clients", "scores", "losses")


@dataclass(slots=True)
class Held:
    """A model's reference in the arrays: its table and row there, and how many hold it. The
    `digest` tells it from others, whichever model and version they are given to."""

    model: str
    digest: str
    table: int
    row: int
    holders: int = 0


@dataclass(slots=True)
class Table:
    """The arrays of one schema: references, and tallies of open windows."""

    schema: Schema
    references: References
    tally: Tiers
    held: dict[tuple[str, str], Held]  # by model and digest

    @classmethod
    def of(cls, schema: Schema) -> Table:
        """Empty arrays."""
        return cls(schema, References(schema), Tiers(schema), {})

    def release(self, held: Held) -> None:
        """Holds a reference once less."""
        held.holders -= 1
        if not held.holders:
            self.references.release_one(held.row)
            del self.held[held.model, held.digest]


@dataclass(slots=True)
class Slot:
    """One open window of one member; its row in the tally, and what it is measured against."""

    member: int
    window: int
    table: int
    row: int
    held: Held | None


class _Part(NamedTuple):
    """Events of one tally: the rows of their windows and of their references; which of a block's
    `rows` they are, None: all."""

    of: Table
    tally: Tally
    row: IntArray
    ref: IntArray
    rows: IntArray | None


class Ledger:
    """Counts events into open windows.

    Members have rows (`member`), and so have open windows (`slot`). `members` holds by member:
    `model` (the clock's row), `predictions` and `last_seen` since they were last taken, the window
    that was counted into last with its slot, whether it is sure to have been `met`, that is to be
    on its model's record, and whether it is `referred` to a reference and learns no other, and
    whether that one's bins cut answers (`celled`, see `Schema.cut`).
    """

    def __init__(self) -> None:
        self._absorb = _compiled() or absorb
        self._placing = placing.quickest()
        self.tables = [Table.of(Schema())]
        self._table_of = {Schema(): _PLAIN}
        self.names: dict[int, Member] = {}
        self.rows: dict[Member, int] = {}
        self._known: Remembered[Member] = Remembered()
        self.versions: dict[str, set[str]] = {}
        self.members = Grown(
            {
                **dict.fromkeys(("model", "predictions", "window", "slot"), (np.int64, ())),
                "last_seen": (np.float64, ()),
                "met": (np.bool_, ()),
                "referred": (np.bool_, ()),
                "celled": (np.bool_, ()),
            }
        )
        # `n`: no count of the slot's row is above it.
        self._slots = Grown(dict.fromkeys(("table", "row", "ref", "n"), (np.int64, ())))
        self.slots: dict[int, Slot] = {}
        self._open: dict[tuple[int, int], list[int]] = {}  # model, window: slots
        self._at: dict[int, dict[int, int]] = {}  # member: window: slot
        self._references: dict[int, tuple[float, Held]] = {}
        self._former: dict[int, tuple[float, Held]] = {}

    # ------------------------------------------------------------------------------- members

    def member(self, model_row: int, member: Member) -> int:
        """The member's row; a new one when it is met for the first time."""
        row = self.rows.get(member)
        if row is None:
            row = self.rows[member] = self.members.claim_one()
            self.names[row] = member
            self.versions.setdefault(member.model, set()).add(member.version)
            self.members.arrays["model"][row] = model_row
            self.members.arrays["window"][row] = NO_WINDOW
            self.members.arrays["last_seen"][row] = -np.inf
        return row

    def rows_of(self, members: Sequence[Member]) -> IntArray:
        """The members' rows; -1 for those that are not known."""
        known = self.rows.get
        return self._known.of(members, lambda member: known(member, -1))

    def met(self, rows: IntArray) -> BoolArray:
        """Which rows, -1 for none, are of members that are sure to be on their model's record."""
        met: BoolArray = self.members.arrays["met"][rows] & (rows >= 0)
        return met

    def meet(self, row: int, met: bool = True) -> None:
        """A member is on its model's record, or not any more."""
        self.members.arrays["met"][row] = met

    def forget(self, member: Member) -> None:
        """Lets go of everything of a member."""
        row = self.rows.pop(member, None)
        if row is None:
            return
        self._known.forget()
        for slot in list(self._at.get(row, {}).values()):
            self._release(slot)
        del self.names[row]
        self.versions[member.model].discard(member.version)
        if not self.versions[member.model]:
            del self.versions[member.model]
        self.refer(row, None)
        self.members.release_one(row)

    def take_counts(self, member: int) -> tuple[int, float] | None:
        """How many predictions were counted since this was last asked, and the newest time; None
        where there were none."""
        a = self.members.arrays
        n, last = int(a["predictions"][member]), float(a["last_seen"][member])
        if not n:
            return None
        a["predictions"][member] = 0
        return n, last

    def refer(self, member: int, profile: Profile | None, after: float = float("-inf")) -> None:
        """From now on windows that begin after `after` are measured against this reference, those
        from before against the old one."""
        old, gone = self._references.pop(member, None), self._former.pop(member, None)
        if profile is not None and old is not None and after > float("-inf"):
            self._former[member], old = old, None
        self.members.arrays["referred"][member] = profile is not None
        self.members.arrays["celled"][member] = False
        if profile is not None:
            held = self._held(self.names[member].model, profile)
            held.holders += 1
            celled = self.tables[held.table].schema.cut is not None
            self.members.arrays["celled"][member] = celled
            self._references[member] = after, held
        for each in (old, gone):
            if each is not None:
                self.tables[each[1].table].release(each[1])

    def forget_former(self, member: int) -> None:
        """No window of a member is measured against the reference from before any more."""
        old = self._former.pop(member, None)
        if old is not None:
            self.tables[old[1].table].release(old[1])

    def learns(self, member: int, learns: bool) -> None:
        """Whether a member's events are gathered for a reference in place of the one it has."""
        self.members.arrays["referred"][member] = not learns

    def reference(self, member: int, start: float = float("inf")) -> Held | None:
        """What a member's window that begins at `start` is measured against."""
        for known in (self._references.get(member), self._former.get(member)):
            if known is not None and start > known[0]:
                return known[1]
        return None

    def schema_of(self, held: Held | None) -> Schema:
        """The schema of a reference, or that of none."""
        return self.tables[_PLAIN if held is None else held.table].schema

    def remeasure(self, member: int, width: float) -> None:
        """After another reference was given: open windows that are measured against another one
        than before begin anew in what is measured against it."""
        for window, slot in list(self._at.get(member, {}).items()):
            old, held = self.slots[slot], self.reference(member, window * width)
            if old.held is not held:
                kept = self._kept(old)
                self._release(slot)
                self._fill(self.put(member, window, held), kept)

    # --------------------------------------------------------------------------------- counting

    def predictions(
        self, member: IntArray, window: IntArray, width: FloatArray, block: PredictionBlock
    ) -> None:
        """Counts each row of a block into its member's window of that number."""
        slot = self._slots_of(member, window, width)
        a = self.members.arrays
        self._placing.count_members(a["predictions"], a["last_seen"], member, block.at)
        for of, tally, row, ref, rows in self._parts(slot):
            part = block if rows is None else block.take(rows)
            self._absorb.absorb_predictions(tally, of.references, row, ref, part)

    def pairs(self, member: IntArray, window: IntArray, width: FloatArray, pairs: Pairs) -> None:
        """Counts predictions with their truth into windows; `pairs.positive` is filled in."""
        slot = self._slots_of(member, window, width)
        for of, tally, row, _, rows in self._parts(slot):
            chosen = pairs if rows is None else pairs.take(rows)
            positive = np.full(len(chosen.said), of.schema.positive_key, dtype=np.uint64)
            self._absorb.absorb_pairs(tally, row, chosen._replace(positive=positive))

    def _parts(self, slot: IntArray) -> Iterator[_Part]:
        """The events, by the tallies that count them."""
        if not len(slot):
            return
        a = self._slots.arrays
        for each in self._placing.overfull(a["n"], a["row"], FEW, slot).tolist():
            self._widen(each)
        code, codes, row, ref = self._placing.placed(a["table"], a["row"], a["ref"], slot)
        if code != placing.MIXED:
            yield self._part(code, row, ref, None)
            return
        for each in np.unique(codes).tolist():
            rows = np.flatnonzero(codes == each)
            yield self._part(each, row[rows], ref[rows], rows)

    def _part(self, code: int, row: IntArray, ref: IntArray, rows: IntArray | None) -> _Part:
        of = self.tables[code // 2]
        return _Part(of, of.tally.large if code % 2 else of.tally.small, row, ref, rows)

    def _widen(self, slot: int) -> None:
        """There are more events to come than small integers count."""
        here = self.slots[slot]
        here.row = self._slots.arrays["row"][slot] = self.tables[here.table].tally.widen(here.row)

    # ------------------------------------------------------------------------------------ slots

    def slots_of(self, model: int, window: int) -> list[int]:
        """The slots of a model's window, one for each version that was counted in it."""
        return list(self._open.get((model, window), ()))

    def place(self, slots: Sequence[int]) -> tuple[IntArray, IntArray, IntArray]:
        """The tables, the tallies' rows and the references' rows of slots."""
        a, chosen = self._slots.arrays, np.array(slots, dtype=np.int64)
        return a["table"][chosen], a["row"][chosen], a["ref"][chosen]

    def close(self, slots: Sequence[int]) -> None:
        """Gives up windows that were judged."""
        for slot in slots:
            self._release(slot)

    def windows(self, members: Iterable[int]) -> list[int]:
        """The numbers of the windows that are open for some of these members, ascending."""
        return sorted({window for member in members for window in self._at.get(member, {})})

    def put(self, member: int, window: int, held: Held | None) -> int:
        """Opens a member's window, without counts, to be measured against this reference."""
        table = _PLAIN if held is None else held.table
        row, slot = self.tables[table].tally.claim_one(), self._slots.claim_one()
        a = self._slots.arrays
        a["table"][slot], a["row"][slot] = table, row
        if held is not None:
            held.holders += 1
            a["ref"][slot] = held.row
        self.slots[slot] = Slot(member, window, table, row, held)
        self._at.setdefault(member, {})[window] = slot
        model = int(self.members.arrays["model"][member])
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
        here, a = self.slots[slot], self._slots.arrays
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
            self._widen(slot)
        here = self.slots[slot]
        return {n: a[~here.row] for n, a in self.tables[here.table].tally.large.arrays.items()}

    def answered(self, slot: int) -> int:
        """How many predictions a window has."""
        here = self.slots[slot]
        tally, row = self.tables[here.table].tally.at(here.row)
        return int(tally.arrays["head"][row, t.N])

    def open_slots(self, member: int) -> list[tuple[int, int]]:
        """The member's open windows and their slots, in order."""
        return sorted(self._at.get(member, {}).items())

    def idle(self, member: int) -> bool:
        """Whether nothing is open of a member, and it has no reference."""
        return member not in self._at and member not in self._references

    def _slots_of(self, member: IntArray, window: IntArray, width: FloatArray) -> IntArray:
        """The slot of each row, opened where there is none yet."""
        a = self.members.arrays
        slot: IntArray
        slot, missed = self._placing.remembered(a["window"], a["slot"], member, window)
        if not missed:
            return slot
        miss = np.flatnonzero(a["window"][member] != window)
        base = int(window[miss].min())
        span = int(window[miss].max()) - base + 1
        codes, first, which = _numbered(member[miss] * span + (window[miss] - base))
        found = [
            self._at_or_opened(code // span, base + code % span, float(width[miss[row]]))
            for code, row in zip(codes.tolist(), first.tolist(), strict=True)
        ]
        slot[miss] = np.array(found, dtype=np.int64)[which]
        # Of several windows the newest is remembered: its events are still to come.
        a["window"][codes // span], a["slot"][codes // span] = base + codes % span, found
        return slot

    def _at_or_opened(self, member: int, window: int, width: float) -> int:
        slot = self._at.get(member, {}).get(window)
        if slot is None:
            slot = self.put(member, window, self.reference(member, window * width))
        return slot

    def _release(self, slot: int) -> None:
        here = self.slots.pop(slot)
        of = self.tables[here.table]
        of.tally.release_one(here.row)
        if here.held is not None:
            of.release(here.held)
        self._slots.release_one(slot)
        del self._at[here.member][here.window]
        if not self._at[here.member]:
            del self._at[here.member]
        a = self.members.arrays
        if a["window"][here.member] == here.window:
            a["window"][here.member] = NO_WINDOW
        key = int(a["model"][here.member]), here.window
        self._open[key].remove(slot)
        if not self._open[key]:
            del self._open[key]

    def _table(self, schema: Schema) -> int:
        known = self._table_of.get(schema)
        if known is None:
            known = self._table_of[schema] = len(self.tables)
            self.tables.append(Table.of(schema))
        return known

    def _held(self, model: str, profile: Profile) -> Held:
        """A model's reference in the arrays, which are to let it go unless it is held."""
        table, key = self._table(Schema.of(profile)), digest(profile)
        of = self.tables[table]
        known = of.held.get((model, key))
        if known is None:
            row = of.references.add(profile)
            known = of.held[model, key] = Held(model, key, table, row)
        return known

    def _kept(self, slot: Slot) -> dict[str, npt.NDArray[Any]]:
        """What was counted without looking at a reference."""
        tally, row = self.tables[slot.table].tally.at(slot.row)
        kept = {name: tally.arrays[name][row].copy() for name in _FREE}
        return {"head": tally.arrays["head"][row, _FREE_HEAD], **kept}

    def _fill(self, slot: int, kept: dict[str, npt.NDArray[Any]]) -> None:
        into = self.room(slot)
        into["head"][_FREE_HEAD] = kept.pop("head")
        for name, array in kept.items():
            into[name][...] = array


def _numbered(codes: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """The different codes, ascending, a row that has each, and each row's number among them."""
    highest = int(codes.max()) + 1
    if highest > 16 * len(codes):
        return np.unique(codes, return_index=True, return_inverse=True)
    row = np.full(highest, -1, dtype=np.int64)
    row[codes] = np.arange(len(codes))
    different = np.flatnonzero(row >= 0)
    number = np.empty(highest, dtype=np.int64)
    number[different] = np.arange(len(different))
    return different, row[different], number[codes]


def _compiled() -> ModuleType | None:
    """The compiled way to count, where it is to be used."""
    return import_module(f"{absorb.__name__}_fast") if fast.available() else None


def _by_code(codes: IntArray) -> Iterator[tuple[int, IntArray | None]]:
    """The different codes, with the rows that have each; None: all."""
    if (codes == codes[0]).all():
        yield int(codes[0]), None
        return
    for each in np.unique(codes).tolist():
        yield each, np.flatnonzero(codes == each)
