"""What is remembered of one model's log statements: templates, their counts, and lines to show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec
import numpy as np

from watchkeeper.detectors.templates.counts import Form
from watchkeeper.detectors.templates.history import ALL, MIX, History
from watchkeeper.detectors.templates.tree import TemplateTree
from watchkeeper.detectors.types import FloatArray, State, StateError

LAYOUT = 2
EXAMPLES = 2  # lines that are kept of a template: the first, and the newest

_FADING = 0.98  # of how many new templates came lately, a window


class Taken(NamedTuple):
    """What a window's lines were: of each row how many, and how many of them errors; the templates
    that are new, and those that are no more; `whole` where every line has its row."""

    n: int
    counts: FloatArray
    wrong: FloatArray
    new: list[int]
    gone: tuple[int, ...]
    whole: bool


@dataclass(slots=True)
class LogMemory:
    """Learns from windows of log lines: first `take`, and `count` once the window is judged.

    `windows` and `lines` count all there were; `recent` holds how many new templates came lately,
    how many of these were errors, and in how many lines.
    """

    tree: TemplateTree = field(default_factory=lambda: TemplateTree(memory=1_024))
    history: History = field(default_factory=History)
    windows: int = 0
    lines: int = 0
    recent: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    examples: dict[int, list[str]] = field(default_factory=dict)

    def take(self, n: int, forms: Sequence[Form]) -> Taken:
        """Learns the templates of a window's `n` lines, and gives every one of them a row."""
        numbers = [self.tree.add(form.form) for form in forms]
        became, gone = self._tidy()
        numbers = [became.get(number, number) for number in numbers]
        new = self._seat(numbers)
        history = self.history
        counts, wrong = np.zeros(len(history)), np.zeros(len(history))
        for number, form in zip(numbers, forms, strict=True):
            row = history.rows.get(number)
            if row is not None:
                counts[row] += form.n
                wrong[row] += form.errors
                self._keep(number, form.line)
        history.lines += counts.astype(np.int64)
        history.errors += wrong.astype(np.int64)
        return Taken(n, counts, wrong, new, gone, whole=int(counts.sum()) == n)

    def count(self, taken: Taken) -> None:
        """Notes the window's new templates, those of errors, and its lines."""
        wrong = sum(taken.wrong[self.history.rows[number]] > 0 for number in taken.new)
        these = (float(len(taken.new)), float(wrong), float(taken.n))
        self.recent = [_FADING * old + new for old, new in zip(self.recent, these, strict=True)]
        self.windows += 1
        self.lines += taken.n

    def _tidy(self) -> tuple[dict[int, int], tuple[int, ...]]:
        """Follows what became of templates; gives the newest number of those that were merged, and
        all that are no more."""
        became: dict[int, int] = {}
        for number, into in self.tree.take_merged():
            self.history.join(number, into)
            kept = [*self.examples.pop(into, []), *self.examples.pop(number, [])]
            if kept:
                self.examples[into] = [kept[0], *kept[1:][-EXAMPLES + 1 :]]
            became[number] = into
        forgotten = self.tree.take_forgotten()
        for number in forgotten:
            self.history.drop(number)
            self.examples.pop(number, None)
        gone = (*became, *forgotten)
        return {number: _last(became, number) for number in became}, gone

    def _seat(self, numbers: Sequence[int]) -> list[int]:
        """Gives a row to every template that has none; these are the new ones."""
        history, new = self.history, []
        for number in (MIX, ALL):
            if number not in history.rows:
                history.add(number)
        for number in numbers:
            if number in self.tree and number not in history.rows:
                history.add(number)
                new.append(number)
        return new

    def _keep(self, number: int, line: str) -> None:
        kept = self.examples.setdefault(number, [])
        if line and line not in kept:
            kept[EXAMPLES - 1 :] = [line]

    # -----------------------------------------------------------------------------------------
    # State
    # -----------------------------------------------------------------------------------------

    def state(self) -> State:
        """Everything learned, as plain data with a version."""
        return {
            "version": LAYOUT,
            "windows": self.windows,
            "lines": self.lines,
            "recent": list(self.recent),
            "tree": self.tree.state(),
            "history": self.history.state(),
            "examples": [[number, list(lines)] for number, lines in self.examples.items()],
        }

    def restore(self, state: State) -> None:
        """Takes up what `state` gave, or nothing of it. Raises `StateError` for anything else."""
        try:
            stored = msgspec.convert(state, _Stored)
        except msgspec.ValidationError as error:
            raise StateError(f"log watch: stored state is damaged: {error}") from error
        if stored.version != LAYOUT:
            raise StateError("log watch: stored state has another layout")
        tree = TemplateTree(
            self.tree.most, self.tree.similarity, self.tree.distinct, self.tree.memory
        )
        tree.restore(stored.tree)
        history = History()
        history.restore(stored.history)
        if not set(history.rows) <= {MIX, ALL, *tree.texts()}:
            raise StateError("log watch: stored state has counts of unknown templates")
        self.tree, self.history = tree, history
        self.windows, self.lines = stored.windows, stored.lines
        self.recent = list(stored.recent)
        self.examples = {number: lines[:EXAMPLES] for number, lines in stored.examples}


class _Stored(msgspec.Struct):
    version: int
    windows: int
    lines: int
    recent: tuple[float, float, float]
    tree: dict[str, Any]
    history: dict[str, Any]
    examples: list[tuple[int, list[str]]]


def _last(became: Mapping[int, int], number: int) -> int:
    while number in became:
        number = became[number]
    return number
