"""The watch over one model's log statements: a closed window in, samples and findings out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec
import numpy as np

from watchkeeper.detectors.signals._sampling import Closed
from watchkeeper.detectors.templates import evidence
from watchkeeper.detectors.templates.changes import GONE, MORE, Changed, Changes
from watchkeeper.detectors.templates.counts import RECORDS, Form, forms_of
from watchkeeper.detectors.templates.history import ALL, MIX, History
from watchkeeper.detectors.templates.secrets import shown
from watchkeeper.detectors.templates.tree import TemplateTree
from watchkeeper.detectors.types import (
    Finding,
    FloatArray,
    IntArray,
    Sample,
    Series,
    Severity,
    State,
    StateError,
    Window,
)

LAYOUT = 2
SIGNAL = "logs"
NEW, VANISHED, RATE, MIXED = "new_template", "vanished_template", "template_rate", "template_mix"
DETECTORS = (NEW, VANISHED, RATE, MIXED)
EXAMPLES = 2  # lines that are kept of a template: the first, and the newest
SAMPLED = 100  # templates of a window that have samples, the most frequent ones
NEW_TARGET, MIX_TARGET = "templates:new", "templates:mix"
ABOUT = 3  # templates that a finding about all of them names
TESTS = 4  # new ones, new ones of errors, who is gone, and whose counts are others
FOUND = 20  # findings of one window, the weightiest ones

_FADING = 0.98  # of how many new templates came lately, a window


class Said(NamedTuple):
    """What a finding is about: the statement, and lines to show with secrets hidden."""

    template: str
    examples: tuple[str, ...]


class Watched(NamedTuple):
    """What one window had to say; `said` explains the targets of its findings. The targets that
    are `gone` were merged into others or forgotten, and never come again."""

    samples: list[Sample]
    findings: list[Finding]
    said: dict[str, Said]
    gone: tuple[str, ...] = ()


class _Now(NamedTuple):
    """The window that is being closed: lines of each row, and of which of them are errors."""

    closed: Closed
    n: int
    errors: int
    counts: FloatArray
    wrong: FloatArray
    new: list[int]
    whole: bool
    gone: tuple[str, ...]


@dataclass(slots=True)
class LogWatch:
    """Learns the templates of a model's log lines, and finds where they are not as before.

    `budget` is the number of windows in which one false alarm is accepted, of all tests together:
    each has an equal part of it. Nothing is found in the first `learn` windows. A finding's series
    has signal `logs` and target `template:NUMBER`, or `templates:new` and `templates:mix` for all
    of them; its detector is

    - `new_template`: statistic -log10 of the probability that so many new ones come in so many
      lines, by how many have come once so far (Good, Biometrika 40, 1953, after Turing); each new
      one is noted as INFO, and more than the budget allows, or of errors, are a WARNING;
    - `vanished_template`: -log10 of the probability of so long a gap between its arrivals;
    - `template_rate`: log10 of the evidence that it comes more or less often (`evidence`);
    - `template_mix`: the same of the distance between the window's counts and those before.

    A window in which more different forms came than are counted is not judged.

    >>> LogWatch().close("m", "1", Window(0.0, 60.0), {}).findings
    []
    """

    budget: float = 43_200.0
    learn: int = 60
    tree: TemplateTree = field(default_factory=lambda: TemplateTree(memory=1_024))
    _history: History = field(default_factory=History)
    _windows: int = 0
    _lines: int = 0
    _recent: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    _examples: dict[int, list[str]] = field(default_factory=dict)

    def close(
        self, model: str, version: str, window: Window, part: Mapping[str, IntArray]
    ) -> Watched:
        """Judges a window of log lines that nothing can be added to any more, and learns from it.
        `part` is what `FormCounts` gathered."""
        n, errors = part[RECORDS].tolist() if RECORDS in part else (0, 0)
        if n <= 0:
            return Watched([], [], {})
        now = self._now(Closed(model, version, SIGNAL, window), n, errors, forms_of(part))
        ready = self._windows >= self.learn
        found = list(self._new(now)) if ready else []
        mix = self._mixed(now)
        if now.whole:
            changed = list(self._changed(now, mix, ready))
            found += changed if ready else []
        samples = list(self._samples(now, mix))
        self._count(now)
        found.sort(key=lambda each: (-each.severity.rank, -each.statistic, each.series.target))
        found = found[:FOUND]
        return Watched(samples, found, self._explained(now, found), now.gone)

    def accept(self, target: str) -> None:
        """What a template's counts, or the mix of all, are from now on is what is normal."""
        name, _, number = target.partition(":")
        if target == MIX_TARGET:
            row = self._history.rows.get(MIX)
        else:
            known = name == "template" and number.isdecimal()
            row = self._history.rows.get(int(number)) if known else None
        if row is not None:
            self._history.begin_again(row)

    def said(self, target: str) -> Said | None:
        """What a template's target says; None where it is forgotten, or is of all templates."""
        name, _, number = target.partition(":")
        return self._of(int(number)) if name == "template" and number.isdecimal() else None

    def _of(self, number: int) -> Said | None:
        if number not in self.tree:
            return None
        return Said(shown(self.tree.text(number)), tuple(self._examples.get(number, ())))

    # -----------------------------------------------------------------------------------------
    # Learning
    # -----------------------------------------------------------------------------------------

    def _now(self, closed: Closed, n: int, errors: int, forms: list[Form]) -> _Now:
        numbers = [self.tree.add(form.form) for form in forms]
        became, gone = self._tidy()
        history, new = self._history, []
        for number in (MIX, ALL):
            if number not in history.rows:
                history.add(number)
        for place, number in enumerate(numbers):
            number = numbers[place] = became.get(number, number)
            if number in self.tree and number not in history.rows:
                history.add(number)
                new.append(number)
        counts, wrong = np.zeros(len(history)), np.zeros(len(history))
        for number, form in zip(numbers, forms, strict=True):
            row = history.rows.get(number)
            if row is not None:
                counts[row] += form.n
                wrong[row] += form.errors
                self._keep(number, form.line)
        history.lines += counts.astype(np.int64)
        history.errors += wrong.astype(np.int64)
        whole = int(counts.sum()) == n
        return _Now(closed, n, errors, counts, wrong, new, whole, gone)

    def _tidy(self) -> tuple[dict[int, int], tuple[str, ...]]:
        """Follows what became of templates; gives the newest number of those that were merged, and
        the targets of all that are no more."""
        became: dict[int, int] = {}
        for number, into in self.tree.take_merged():
            self._history.join(number, into)
            kept = [*self._examples.pop(into, []), *self._examples.pop(number, [])]
            if kept:
                self._examples[into] = [kept[0], *kept[1:][-EXAMPLES + 1 :]]
            became[number] = into
        forgotten = self.tree.take_forgotten()
        for number in forgotten:
            self._history.drop(number)
            self._examples.pop(number, None)
        gone = tuple(f"template:{number}" for number in (*became, *forgotten))
        return {number: _last(became, number) for number in became}, gone

    def _keep(self, number: int, line: str) -> None:
        kept = self._examples.setdefault(number, [])
        if line and line not in kept:
            kept[EXAMPLES - 1 :] = [line]

    # -----------------------------------------------------------------------------------------
    # Judging
    # -----------------------------------------------------------------------------------------

    @property
    def _threshold(self) -> float:
        """What the statistic of one test must be."""
        return math.log10(TESTS * self.budget)

    def _new(self, now: _Now) -> Iterator[Finding]:
        """Each new template, and whether there are more of them than chance would bring."""
        history = self._history
        rows = [history.rows[number] for number in now.new]
        wrong = [row for row in rows if now.wrong[row] > 0]
        expected = self._expected(now, history.lines, rows)
        for number, row in zip(now.new, rows, strict=True):
            weight = _weight(evidence.more_than(1, expected))
            yield self._finding(now, f"template:{number}", NEW, weight, now.counts[row], 0.0)
        counted = ((rows, expected), (wrong, self._expected(now, history.errors, wrong)))
        for place, (these, mean) in enumerate(counted):
            lately = now.n * self._recent[place] / max(self._recent[2], 1.0)
            weight = _weight(evidence.more_than(len(these), max(mean, lately)))
            if weight >= self._threshold:
                warned = {"severity": Severity.WARNING}
                yield self._finding(now, NEW_TARGET, NEW, weight, len(these), mean, **warned)
                return

    def _expected(self, now: _Now, total: IntArray, new: list[int]) -> float:
        """How many new templates so many lines bring, by how many have come once before."""
        once = int((total == 1).sum()) - int((total[new] == 1).sum())
        return (once + 1) * now.n / (self._lines + 1)

    def _count(self, now: _Now) -> None:
        """Notes the window's new templates, those of errors, and its lines."""
        wrong = sum(now.wrong[self._history.rows[number]] > 0 for number in now.new)
        these = (float(len(now.new)), float(wrong), float(now.n))
        self._recent = [_FADING * old + new for old, new in zip(self._recent, these, strict=True)]
        self._windows += 1
        self._lines += now.n

    def _mixed(self, now: _Now) -> float:
        """How far the window's shares are from the mean ones before it."""
        row, valid = self._history.rows[MIX], self._history.valid
        usual = np.where(
            valid > 0,
            self._history.shares.sum(axis=1, dtype=np.float64) / np.maximum(valid, 1),
            0.0,
        )
        usual[[row, self._history.rows[ALL]]] = 0.0
        return evidence.distance(now.counts, usual)

    def _changed(self, now: _Now, mix: float, ready: bool) -> Iterator[Finding]:
        """Who comes more or less often than before, and who no longer; then learns the window."""
        values, shares = now.counts.copy(), now.counts / now.n
        row = self._history.rows[MIX]
        # With few lines a mix is far from others by chance: that is no news.
        values[row], shares[row] = mix, mix * math.sqrt(now.n)
        values[self._history.rows[ALL]] = now.n
        changes = Changes(self._history, TESTS * self.budget)
        for each in changes.judge(now.closed.window, values, shares, self._windows, ready):
            yield self._found(now, each)

    def _found(self, now: _Now, changed: Changed) -> Finding:
        history, row = self._history, self._history.rows[changed.number]
        target, name = f"template:{changed.number}", RATE
        severity = Severity.INFO
        if changed.number == MIX:
            target, name = MIX_TARGET, MIXED
        elif changed.kind == GONE:
            name = VANISHED
        elif changed.kind == MORE and 2 * history.errors[row] > history.lines[row]:
            severity = Severity.WARNING
        return self._finding(
            now,
            target,
            name,
            changed.weight,
            changed.value,
            changed.usual,
            since=changed.since,
            direction="up" if changed.kind == MORE else "down",
            severity=severity,
        )

    # -----------------------------------------------------------------------------------------
    # Saying
    # -----------------------------------------------------------------------------------------

    def _finding(
        self,
        now: _Now,
        target: str,
        name: str,
        statistic: float,
        value: float,
        expected: float,
        **more: Any,
    ) -> Finding:
        closed = now.closed
        given: dict[str, Any] = {
            "severity": Severity.INFO,
            "since": closed.window.start,
            "direction": "up",
            **more,
        }
        return Finding(
            series=Series(closed.model, closed.version, SIGNAL, target),
            detector=name,
            at=closed.window.end,
            value=float(value),
            expected=float(expected),
            statistic=float(statistic),
            threshold=self._threshold,
            n=now.n,
            **given,
        )

    def _samples(self, now: _Now, mix: float) -> Iterator[Sample]:
        history = self._history
        yield now.closed.sample("templates", len(self.tree), now.n)
        yield now.closed.sample("new_templates", len(now.new), now.n)
        yield now.closed.sample("template_mix", mix, now.n)
        order = sorted(
            (number for number, row in history.rows.items() if number >= 0 and history.age[row]),
            key=lambda number: (-int(history.lines[history.rows[number]]), number),
        )
        for number in order[:SAMPLED]:
            row = history.rows[number]
            yield now.closed.rate(f"template:{number}", int(now.counts[row]), now.n)

    def _explained(self, now: _Now, found: list[Finding]) -> dict[str, Said]:
        """What the findings' targets say; of all templates together, those it is about most."""
        said: dict[str, Said] = {}
        for target in dict.fromkeys(each.series.target for each in found):
            if target == NEW_TARGET:
                about = now.new
            elif target == MIX_TARGET:
                about = self._shifted(now)
            else:
                about = [int(target.partition(":")[2])]
            known = [each for each in map(self._of, about[:ABOUT]) if each is not None]
            if known:
                lines = tuple(line for each in known for line in each.examples)
                said[target] = Said("; ".join(each.template for each in known), lines)
        return said

    def _shifted(self, now: _Now) -> list[int]:
        """The templates by how much their share is another than usual, the most first."""
        history = self._history
        usual = history.shares.sum(axis=1, dtype=np.float64) / np.maximum(history.valid, 1)
        far = np.abs(now.counts / now.n - usual)
        rows = sorted(history.rows.items(), key=lambda each: (-float(far[each[1]]), each[0]))
        return [number for number, _ in rows if number >= 0]

    # -----------------------------------------------------------------------------------------
    # State
    # -----------------------------------------------------------------------------------------

    def state(self) -> State:
        """Everything learned, as plain data with a version."""
        return {
            "version": LAYOUT,
            "windows": self._windows,
            "lines": self._lines,
            "recent": list(self._recent),
            "tree": self.tree.state(),
            "history": self._history.state(),
            "examples": [[number, list(lines)] for number, lines in self._examples.items()],
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
        self.tree, self._history = tree, history
        self._windows, self._lines = stored.windows, stored.lines
        self._recent = list(stored.recent)
        self._examples = {number: lines[:EXAMPLES] for number, lines in stored.examples}


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


def _weight(p: float) -> float:
    return -math.log10(max(p, 1e-300))
