"""What is kept of all models together, in arrays: times, open windows, detectors, label joins."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import numpy as np

from watchkeeper.daemon.core import clocks
from watchkeeper.daemon.core.fairness import MOST_BYTES
from watchkeeper.daemon.core.joined import Joined
from watchkeeper.daemon.core.joins import Joins
from watchkeeper.daemon.core.ledger import Ledger
from watchkeeper.daemon.core.panel import Panel
from watchkeeper.daemon.core.policy import Suite
from watchkeeper.daemon.core.sources import Sources
from watchkeeper.detectors.arrays.schema import Schema
from watchkeeper.detectors.blocks import Block, LabelBlock, Member, PredictionBlock
from watchkeeper.detectors.keys import Keys, combined
from watchkeeper.detectors.types import FloatArray, IntArray


class Arrays:
    """Models and their versions (members) are rows of these, numbered by whoever holds them."""

    def __init__(self, join_bytes: int = MOST_BYTES) -> None:
        self.clocks = clocks.quickest()
        self.ledger = Ledger()
        self.joins = Joins(capacity=50_000, horizon_s=7 * 86_400.0, most_bytes=join_bytes)
        self.sources = Sources()
        self.panels: dict[Schema, list[tuple[Suite, Panel]]] = {}
        self.panel_of: dict[int, Panel] = {}
        self._seated: defaultdict[int, set[int]] = defaultdict(set)  # model: members with panels
        self.layouts: dict[bytes, bytes] = {}  # of what was learned, by name: few, and shared
        self._tallied = np.zeros((2, 0), dtype=np.int64)
        self._counted = 0

    def panel(self, schema: Schema, suite: Suite) -> Panel:
        """The detectors over series of this schema, for those of this suite of watches."""
        alike = self.panels.setdefault(schema, [])
        for watched, panel in alike:  # nearly always it is one of the very same watches
            if watched.watches is suite.watches and watched.without == suite.without:
                return panel
        for watched, panel in alike:
            if watched == suite:
                return panel
        panel = Panel.of(suite, schema)
        alike.append((suite, panel))
        return panel

    def seat(self, member: int, panel: Panel, before: int | None) -> None:
        """Gives a member its place in a panel: with what its own windows taught under another
        schema, or else with what another member's did."""
        old = self.panel_of.get(member)
        if old is panel:
            return
        if old is not None:
            panel.inherit(member, old, member)
            old.forget(member)
        elif before is not None and before in self.panel_of:
            panel.inherit(member, self.panel_of[before], before)
        panel.place(member)  # others that are seated with it may inherit from it
        self.panel_of[member] = panel
        self._seated[int(self.ledger.members.arrays["model"][member])].add(member)

    def seated(self, model: int) -> list[str]:
        """The versions of a model that have a place in a panel."""
        return [self.ledger.names[member].version for member in self._seated.get(model, ())]

    def forget(self, member: Member) -> None:
        """Lets go of what a version taught; of its open windows stays what is counted without a
        reference."""
        row = self.ledger.rows.get(member)
        if row is None:
            return
        model = int(self.ledger.members.arrays["model"][row])
        panel = self.panel_of.pop(row, None)
        if panel is not None:
            panel.forget(row)
            self._unseat(model, row)
        self.ledger.refer(row, None)
        width = self.clocks.arrays["width"][model]
        self.ledger.remeasure(row, float(width))

    def _unseat(self, model: int, member: int) -> None:
        self._seated[model].discard(member)
        if not self._seated[model]:
            del self._seated[model]

    def release(self, model: str, row: int) -> None:
        """Lets go of versions of which nothing is open, taught or waited for."""
        awaited = self.joins.held.awaited(row)
        for version in sorted(self.ledger.versions.get(model, ())):
            member = self.ledger.rows[Member(model, version)]
            if member in awaited or member in self.panel_of or not self.ledger.idle(member):
                continue
            self.ledger.forget(Member(model, version))

    def drop(self, models: Mapping[str, int]) -> None:
        """Lets go of everything of these models, whose rows are given."""
        for model in models:
            for version in list(self.ledger.versions.get(model, ())):
                self.forget(Member(model, version))
                self.ledger.forget(Member(model, version))
        rows = np.array(list(models.values()), dtype=np.int64)
        self.joins.forget(rows.tolist())
        self._tallied[:, rows[rows < self._tallied.shape[1]]] = 0
        self.clocks.release(rows)

    # ------------------------------------------------------------------------------ label joins

    def tallied(self) -> list[tuple[int, int, int]]:
        """The models with new conflicts and orphans since the last call, and how many."""
        unmatched = self.joins.unmatched
        if unmatched.n == self._counted:
            return []
        self._counted = unmatched.n
        now = np.array([unmatched.conflicts, unmatched.orphans])
        last = np.zeros_like(now)
        last[:, : self._tallied.shape[1]] = self._tallied[:, : now.shape[1]]
        self._tallied = now
        more = np.maximum(now - last, 0)
        rows = np.flatnonzero(more.any(axis=0))
        return list(zip(rows.tolist(), more[0, rows].tolist(), more[1, rows].tolist(), strict=True))

    def keys(self, models: IntArray, block: Block) -> Keys:
        """The keys of the requests, each together with its model's."""
        return combined(block.key, self.clocks.arrays["key"][models])

    def predicted(
        self,
        models: IntArray,
        members: IntArray,
        keys: Keys,
        block: PredictionBlock,
        closed: FloatArray | None,
        *,
        again: bool = False,
    ) -> Joined:
        """Takes in predictions; gives those whose label was waiting and is not from before
        `closed`. `again`: they were taken in before, and are on record."""
        return self.joins.predictions(
            models,
            members.astype(np.int32),
            keys,
            block.at,
            block.label.keys(),
            block.score,
            block.value,
            closed,
            again=again,
        )

    def labelled(self, models: IntArray, block: LabelBlock, *, again: bool = False) -> Joined:
        """Takes in labels; gives the predictions they belong to."""
        keys, label = self.keys(models, block), block.label.keys()
        source = None if block.source is None else self.sources.numbers(block.source)
        return self.joins.labels(
            models, keys, block.at, label, block.value, source=source, again=again
        )
