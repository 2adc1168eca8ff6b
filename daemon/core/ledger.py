"""The open windows of all models, counted in shared arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module
from types import ModuleType
from typing import NamedTuple

import numpy as np

from watchkeeper.daemon.core import placing
from watchkeeper.daemon.core.openings import NO_WINDOW, Openings
from watchkeeper.daemon.core.tables import Held, Table, Tables
from watchkeeper.detectors import fast
from watchkeeper.detectors.arrays import absorb
from watchkeeper.detectors.arrays.absorb import Pairs
from watchkeeper.detectors.arrays.few import FEW
from watchkeeper.detectors.arrays.grown import Grown
from watchkeeper.detectors.arrays.schema import Schema
from watchkeeper.detectors.arrays.tally import Tally
from watchkeeper.detectors.blocks import Member, PredictionBlock
from watchkeeper.detectors.profile import Profile
from watchkeeper.detectors.roster import Remembered
from watchkeeper.detectors.types import BoolArray, FloatArray, IntArray


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
        self.names: dict[int, Member] = {}
        self.rows: dict[Member, int] = {}
        self._known: Remembered[Member] = Remembered()
        self.versions: dict[str, dict[str, int]] = {}  # of each model its versions' rows
        self.members = Grown(
            {
                **dict.fromkeys(("model", "predictions", "window", "slot"), (np.int64, ())),
                "last_seen": (np.float64, ()),
                "met": (np.bool_, ()),
                "referred": (np.bool_, ()),
                "celled": (np.bool_, ()),
            }
        )
        self.tables = Tables()
        self.open = Openings(self.tables, self.members)
        self._references: dict[int, tuple[float, Held]] = {}
        self._former: dict[int, tuple[float, Held]] = {}

    # ------------------------------------------------------------------------------- members

    def member(self, model_row: int, member: Member) -> int:
        """The member's row; a new one when it is met for the first time."""
        row = self.rows.get(member)
        if row is None:
            row = self.rows[member] = self.members.claim_one()
            self.names[row] = member
            self.versions.setdefault(member.model, {})[member.version] = row
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
        for _, slot in self.open.open_slots(row):
            self.open.release(slot)
        del self.names[row]
        del self.versions[member.model][member.version]
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
            held = self.tables.hold(self.names[member].model, profile)
            celled = self.tables.of(held).schema.cut is not None
            self.members.arrays["celled"][member] = celled
            self._references[member] = after, held
        for each in (old, gone):
            if each is not None:
                self.tables.release(each[1])

    def forget_former(self, member: int) -> None:
        """No window of a member is measured against the reference from before any more."""
        old = self._former.pop(member, None)
        if old is not None:
            self.tables.release(old[1])

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
        return self.tables.of(held).schema

    def remeasure(self, member: int, width: float) -> None:
        """After another reference was given: open windows that are measured against another one
        than before begin anew in what is measured against it."""
        for window, slot in self.open.open_slots(member):
            held = self.reference(member, window * width)
            if self.open.slots[slot].held is not held:
                self.open.remeasure(slot, held)

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
        a = self.open.rows.arrays
        for each in self._placing.overfull(a["n"], a["row"], FEW, slot).tolist():
            self.open.widen(each)
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

    # ------------------------------------------------------------------------------------ slots

    def idle(self, member: int) -> bool:
        """Whether nothing is open of a member, and it has no reference."""
        return not self.open.open_slots(member) and member not in self._references

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
        slot = self.open.at(member, window)
        if slot is None:
            slot = self.open.put(member, window, self.reference(member, window * width))
        return slot


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
