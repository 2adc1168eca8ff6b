"""Where the demo is seen: a live table on a terminal, or plain lines for a log."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import click
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from watchkeeper.daemon.demo.fleet import Vitals
from watchkeeper.daemon.demo.scorecard import ScoreCard
from watchkeeper.daemon.demo.story import Line, Tone
from watchkeeper.handlers.types import Action, Incident

TOLD = 14  # lines of the story that stay in sight
_STYLES: Mapping[Tone, str] = {"plain": "", "bad": "red", "good": "green", "ask": "bold yellow"}


class Screen(Protocol):
    """Shows the demo to somebody."""

    def say(self, clock: str, line: Line) -> None:
        """One line of the story."""

    def show(self, clock: str, vitals: Mapping[str, Vitals], incidents: Sequence[Incident]) -> None:
        """The fleet as it is now."""

    def ask(self, action: Action) -> bool | None:
        """Whether a held action may run; None: nobody is here to say."""

    def card(self, card: ScoreCard) -> None:
        """The end: the score card."""

    def close(self) -> None:
        """Gives the terminal back. Idempotent."""


@dataclass
class Plain:
    """Plain story lines on stderr; nobody is asked. A `quiet` one shows no score card."""

    yes: bool = False
    quiet: bool = False

    def say(self, clock: str, line: Line) -> None:
        click.echo(f"{clock} {line.text}", err=True)

    def show(self, clock: str, vitals: Mapping[str, Vitals], incidents: Sequence[Incident]) -> None:
        """Lines are enough."""

    def ask(self, action: Action) -> bool | None:
        return True if self.yes else None

    def card(self, card: ScoreCard) -> None:
        if not self.quiet:
            Console(width=100).print(score_table(card))

    def close(self) -> None:
        """Nothing is held."""


@dataclass
class Terminal:
    """A table that moves, the newest lines of the story, and a question when one is due."""

    yes: bool = False
    console: Console = field(default_factory=Console)
    _lines: deque[Text] = field(default_factory=lambda: deque(maxlen=TOLD))
    _live: Live | None = None

    def say(self, clock: str, line: Line) -> None:
        self._lines.append(Text(f"{clock} {line.text}", style=_STYLES[line.tone]))

    def show(self, clock: str, vitals: Mapping[str, Vitals], incidents: Sequence[Incident]) -> None:
        if self._live is None:
            self._live = Live(console=self.console, auto_refresh=False)
            self._live.start()
        story = Panel(Group(*self._lines), title="what happens", title_align="left")
        self._live.update(Group(fleet_table(clock, vitals, incidents), story), refresh=True)

    def ask(self, action: Action) -> bool | None:
        if self.yes:
            return True
        self.close()
        try:
            return click.confirm(f"{action.model}: {action.summary}. Approve?", default=True)
        except click.Abort:
            return None

    def card(self, card: ScoreCard) -> None:
        self.close()
        self.console.print(score_table(card))

    def close(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None


def fleet_table(clock: str, vitals: Mapping[str, Vitals], incidents: Sequence[Incident]) -> Table:
    """The fleet now, a row a model."""
    table = Table(title=f"watchkeeper demo  {clock}", title_justify="left", expand=True)
    for name in ("model", "version"):
        table.add_column(name)
    for name in ("requests/min", "failing", "95 % within", "memory"):
        table.add_column(name, justify="right")
    table.add_column("incident", ratio=1)
    for model, vital in sorted(vitals.items()):
        table.add_row(
            model,
            vital.version,
            f"{vital.per_minute:.0f}",
            f"{vital.failing:.1%}",
            "-" if math.isnan(vital.slow_s) else f"{vital.slow_s * 1_000:.0f} ms",
            "-" if math.isnan(vital.memory) else f"{vital.memory:.0%}",
            _incident_cell(model, incidents),
        )
    return table


def score_table(card: ScoreCard) -> Table:
    """The score card, a row a fault."""
    summary = (
        f"found {card.found}/{card.faults}, located {card.located}/{card.faults}, "
        f"handled {card.handled}/{card.faults}, false pages {card.false_pages}, "
        f"mean delay {_minutes(card.mean_delay_s)}"
    )
    table = Table(title="score card", title_justify="left", caption=summary)
    for name in ("fault", "model", "is", "found after", "verdict", "handled", "resolved after"):
        table.add_column(name)
    for case in card.cases:
        table.add_row(
            case.fault,
            case.model,
            case.kind,
            _minutes(case.found_after_s),
            Text(case.verdict or "-", style="green" if case.located else "red"),
            Text("yes" if case.handled else "no", style="green" if case.handled else "red"),
            _minutes(case.resolved_after_s),
        )
    for page in card.pages:
        table.add_row("(none)", page.model, "-", "-", Text(page.title, style="red"), "-", "-")
    return table


def _incident_cell(model: str, incidents: Sequence[Incident]) -> Text:
    here = [i for i in incidents if i.model == model and i.open]
    if not here:
        return Text("healthy", style="green")
    fault = here[-1].fault
    return Text(f"{here[-1].state}: {fault.kind} {fault.place}".rstrip(), style="red")


def _minutes(seconds: float | None) -> str:
    return "never" if seconds is None else f"{seconds / 60:.1f} min"
