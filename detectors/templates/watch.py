"""The watch over one model's log statements: a closed window in, samples and findings out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from watchkeeper.detectors.signals._sampling import Closed
from watchkeeper.detectors.templates import evidence
from watchkeeper.detectors.templates.changes import GONE, MORE, Changed, Changes
from watchkeeper.detectors.templates.counts import RECORDS, forms_of
from watchkeeper.detectors.templates.history import ALL, MIX
from watchkeeper.detectors.templates.memory import LogMemory, Taken
from watchkeeper.detectors.templates.secrets import shown
from watchkeeper.detectors.types import (
    Direction,
    Finding,
    IntArray,
    Sample,
    Series,
    Severity,
    State,
    Window,
)

SIGNAL = "logs"
NEW, VANISHED, RATE, MIXED = "new_template", "vanished_template", "template_rate", "template_mix"
DETECTORS = (NEW, VANISHED, RATE, MIXED)
SAMPLED = 100  # templates of a window that have samples, the most frequent ones
NEW_TARGET, MIX_TARGET = "templates:new", "templates:mix"
ABOUT = 3  # templates that a finding about all of them names
TESTS = 4  # new ones, new ones of errors, who is gone, and whose counts are others
FOUND = 20  # findings of one window, the weightiest ones


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


class _Judgement(NamedTuple):
    """What is not as before: of which target, by which detector, and how surely."""

    target: str
    detector: str
    weight: float
    value: float
    usual: float
    severity: Severity = Severity.INFO
    direction: Direction = "up"
    since: float | None = None


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
    _memory: LogMemory = field(default_factory=LogMemory)

    def close(
        self, model: str, version: str, window: Window, part: Mapping[str, IntArray]
    ) -> Watched:
        """Judges a window of log lines that nothing can be added to any more, and learns from it.
        `part` is what `FormCounts` gathered."""
        n = int(part[RECORDS][0]) if RECORDS in part else 0
        if n <= 0:
            return Watched([], [], {})
        now = self._memory.take(n, forms_of(part))
        ready = self._memory.windows >= self.learn
        judged = list(self._new(now)) if ready else []
        mix = self._mixed(now)
        if now.whole:
            changed = list(self._changed(now, window, mix, ready))
            judged += changed if ready else []
        closed = Closed(model, version, SIGNAL, window)
        samples = list(self._samples(now, closed, mix))
        self._memory.count(now)
        found = [self._finding(closed, n, each) for each in judged]
        found.sort(key=lambda each: (-each.severity.rank, -each.statistic, each.series.target))
        found = found[:FOUND]
        return Watched(samples, found, self._explained(now, found), tuple(map(_target, now.gone)))

    def accept(self, target: str) -> None:
        """What a template's counts, or the mix of all, are from now on is what is normal."""
        number = MIX if target == MIX_TARGET else _number(target)
        row = None if number is None else self._memory.history.rows.get(number)
        if row is not None:
            self._memory.history.begin_again(row)

    def said(self, target: str) -> Said | None:
        """What a template's target says; None where it is forgotten, or is of all templates."""
        number = _number(target)
        return None if number is None else self._of(number)

    def state(self) -> State:
        """Everything learned, as plain data with a version."""
        return self._memory.state()

    def restore(self, state: State) -> None:
        """Takes up what `state` gave, or nothing of it. Raises `StateError` for anything else."""
        self._memory.restore(state)

    # -----------------------------------------------------------------------------------------
    # Judging
    # -----------------------------------------------------------------------------------------

    @property
    def _threshold(self) -> float:
        """What the statistic of one test must be."""
        return math.log10(TESTS * self.budget)

    def _new(self, now: Taken) -> Iterator[_Judgement]:
        """Each new template, and whether there are more of them than chance would bring."""
        history, recent = self._memory.history, self._memory.recent
        rows = [history.rows[number] for number in now.new]
        wrong = [row for row in rows if now.wrong[row] > 0]
        expected = self._expected(now, history.lines, rows)
        for number, row in zip(now.new, rows, strict=True):
            weight = _weight(evidence.more_than(1, expected))
            yield _Judgement(_target(number), NEW, weight, now.counts[row], 0.0)
        counted = ((rows, expected), (wrong, self._expected(now, history.errors, wrong)))
        for place, (these, mean) in enumerate(counted):
            lately = now.n * recent[place] / max(recent[2], 1.0)
            weight = _weight(evidence.more_than(len(these), max(mean, lately)))
            if weight >= self._threshold:
                yield _Judgement(NEW_TARGET, NEW, weight, len(these), mean, Severity.WARNING)
                return

    def _expected(self, now: Taken, total: IntArray, new: list[int]) -> float:
        """How many new templates so many lines bring, by how many have come once before."""
        once = int((total == 1).sum()) - int((total[new] == 1).sum())
        return (once + 1) * now.n / (self._memory.lines + 1)

    def _mixed(self, now: Taken) -> float:
        """How far the window's shares are from the mean ones before it."""
        history = self._memory.history
        usual = history.usual(history.shares)
        usual[[history.rows[MIX], history.rows[ALL]]] = 0.0
        return evidence.distance(now.counts, usual)

    def _changed(self, now: Taken, window: Window, mix: float, ready: bool) -> Iterator[_Judgement]:
        """Who comes more or less often than before, and who no longer; then learns the window."""
        history = self._memory.history
        values, shares = now.counts.copy(), now.counts / now.n
        row = history.rows[MIX]
        # With few lines a mix is far from others by chance: that is no news.
        values[row], shares[row] = mix, mix * math.sqrt(now.n)
        values[history.rows[ALL]] = now.n
        changes = Changes(history, TESTS * self.budget)
        for each in changes.judge(window, values, shares, self._memory.windows, ready):
            yield self._judged(each)

    def _judged(self, changed: Changed) -> _Judgement:
        history, row = self._memory.history, self._memory.history.rows[changed.number]
        target, name, severity = _target(changed.number), RATE, Severity.INFO
        if changed.number == MIX:
            target, name = MIX_TARGET, MIXED
        elif changed.kind == GONE:
            name = VANISHED
        elif changed.kind == MORE and 2 * history.errors[row] > history.lines[row]:
            severity = Severity.WARNING
        return _Judgement(
            target,
            name,
            changed.weight,
            changed.value,
            changed.usual,
            severity,
            "up" if changed.kind == MORE else "down",
            changed.since,
        )

    # -----------------------------------------------------------------------------------------
    # Saying
    # -----------------------------------------------------------------------------------------

    def _finding(self, closed: Closed, n: int, judged: _Judgement) -> Finding:
        return Finding(
            series=Series(closed.model, closed.version, SIGNAL, judged.target),
            detector=judged.detector,
            severity=judged.severity,
            since=closed.window.start if judged.since is None else judged.since,
            at=closed.window.end,
            value=float(judged.value),
            expected=float(judged.usual),
            statistic=float(judged.weight),
            threshold=self._threshold,
            n=n,
            direction=judged.direction,
        )

    def _samples(self, now: Taken, closed: Closed, mix: float) -> Iterator[Sample]:
        history = self._memory.history
        yield closed.sample("templates", len(self._memory.tree), now.n)
        yield closed.sample("new_templates", len(now.new), now.n)
        yield closed.sample("template_mix", mix, now.n)
        order = sorted(
            (number for number, row in history.rows.items() if number >= 0 and history.age[row]),
            key=lambda number: (-int(history.lines[history.rows[number]]), number),
        )
        for number in order[:SAMPLED]:
            row = history.rows[number]
            yield closed.rate(_target(number), int(now.counts[row]), now.n)

    def _explained(self, now: Taken, found: list[Finding]) -> dict[str, Said]:
        """What the findings' targets say; of all templates together, those it is about most."""
        said: dict[str, Said] = {}
        for target in dict.fromkeys(each.series.target for each in found):
            known = [each for each in map(self._of, self._about(now, target)) if each is not None]
            if known:
                lines = tuple(line for each in known for line in each.examples)
                said[target] = Said("; ".join(each.template for each in known), lines)
        return said

    def _about(self, now: Taken, target: str) -> list[int]:
        """The templates that a target is about most."""
        number = _number(target)
        if number is not None:
            return [number]
        return (now.new if target == NEW_TARGET else self._shifted(now))[:ABOUT]

    def _shifted(self, now: Taken) -> list[int]:
        """The templates by how much their share is another than usual, the most first."""
        history = self._memory.history
        far = np.abs(now.counts / now.n - history.usual(history.shares))
        rows = sorted(history.rows.items(), key=lambda each: (-float(far[each[1]]), each[0]))
        return [number for number, _ in rows if number >= 0]

    def _of(self, number: int) -> Said | None:
        memory = self._memory
        if number not in memory.tree:
            return None
        return Said(shown(memory.tree.text(number)), tuple(memory.examples.get(number, ())))


def _target(number: int) -> str:
    """The target of what is said of one template."""
    return f"template:{number}"


def _number(target: str) -> int | None:
    """The template that a target is about; None where it is about all of them."""
    name, _, number = target.partition(":")
    return int(number) if name == "template" and number.isdecimal() else None


def _weight(p: float) -> float:
    return -math.log10(max(p, 1e-300))
