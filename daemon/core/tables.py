"""References and tallies of open windows: the arrays of one schema lie together."""

from __future__ import annotations

from dataclasses import dataclass

from watchkeeper.detectors.arrays.reference import References
from watchkeeper.detectors.arrays.schema import Schema
from watchkeeper.detectors.arrays.tiers import Tiers
from watchkeeper.detectors.profile import Profile, digest

PLAIN = 0  # the table of windows that are compared with no reference


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


class Tables(list[Table]):
    """The arrays of all schemas; the first has no reference."""

    def __init__(self) -> None:
        super().__init__([Table.of(Schema())])
        self._number = {Schema(): PLAIN}

    def of(self, held: Held | None) -> Table:
        """The arrays of a reference, or those of none."""
        return self[PLAIN if held is None else held.table]

    def hold(self, model: str, profile: Profile) -> Held:
        """A model's reference in the arrays, held once more."""
        table, key = self._table(Schema.of(profile)), digest(profile)
        of = self[table]
        known = of.held.get((model, key))
        if known is None:
            row = of.references.add(profile)
            known = of.held[model, key] = Held(model, key, table, row)
        known.holders += 1
        return known

    def release(self, held: Held) -> None:
        """Holds a reference once less."""
        self[held.table].release(held)

    def trim(self) -> None:
        """Gives memory of windows that were closed back to the system."""
        for table in self:
            table.tally.trim()

    def _table(self, schema: Schema) -> int:
        known = self._number.get(schema)
        if known is None:
            known = self._number[schema] = len(self)
            self.append(Table.of(schema))
        return known
