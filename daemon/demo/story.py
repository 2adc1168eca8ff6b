"""Tells the demo as it happens: what was injected, and what became of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from watchkeeper.daemon.demo.faults import Script
from watchkeeper.handlers.types import Action, ActionState, Incident, IncidentState

Tone = Literal["plain", "bad", "good", "ask"]
_TELLING = (
    ActionState.HELD,
    ActionState.REFUSED,
    ActionState.SUCCESSFUL,
    ActionState.FAILED,
    ActionState.ERROR,
    ActionState.INCONCLUSIVE,
    ActionState.UNDONE,
)
_GOOD = (IncidentState.RESOLVED, ActionState.SUCCESSFUL)


class Line(NamedTuple):
    """One line of the story; `at` in simulated seconds since the epoch."""

    at: float
    text: str
    tone: Tone = "plain"


@dataclass
class Story:
    """Remembers what was told, so that each change is told once."""

    script: Script
    _said: set[str] = field(default_factory=set)
    _verdicts: dict[str, tuple[str, str]] = field(default_factory=dict)
    _states: dict[str, IncidentState] = field(default_factory=dict)
    _actions: dict[str, ActionState] = field(default_factory=dict)

    def clock(self, at: float) -> str:
        """A simulated time as the story writes it: hours and minutes since the start."""
        minutes = int(at - self.script.start) // 60
        return f"t+{minutes // 60:02d}:{minutes % 60:02d}"

    def tell(
        self, now: float, incidents: Sequence[Incident], actions: Sequence[Action]
    ) -> list[Line]:
        """What is new since the last call, oldest first."""
        lines = [*self._script(now)]
        for incident in sorted(incidents, key=lambda i: i.opened_at):
            lines.extend(self._incident(incident, now))
        for action in sorted(actions, key=lambda a: a.planned_at):
            lines.extend(self._action(action, now))
        return lines

    def _script(self, now: float) -> Iterator[Line]:
        season = self.script.season
        yield from self._once(season.start, now, Line(season.start, f"harmless: {season.text}"))
        for fault in self.script.faults:
            injected = Line(fault.start, f"injected: {fault.text}", "bad")
            yield from self._once(fault.start, now, injected)
            end = self.script.end_of(fault)
            if end < self.script.end:
                yield from self._once(end, now, Line(end, f"healed: {fault.healed}"))

    def _once(self, due: float, now: float, line: Line) -> Iterator[Line]:
        if due <= now and line.text not in self._said:
            self._said.add(line.text)
            yield line

    def _incident(self, incident: Incident, now: float) -> Iterator[Line]:
        before = self._states.get(incident.id)
        if before is None:
            text = f"opened ({incident.severity}): {incident.title}"
            yield Line(incident.opened_at, text, "bad")
        verdict = (incident.fault.kind.value, incident.fault.place)
        if self._verdicts.get(incident.id) != verdict and incident.open:
            self._verdicts[incident.id] = verdict
            sure = f"{incident.fault.confidence:.0%} sure"
            text = f"located: {incident.model}: {verdict[0]} ({verdict[1] or '-'}), {sure}"
            yield Line(now, text)
        if before is not None and before is not incident.state:
            tone: Tone = "good" if incident.state in _GOOD else "plain"
            yield Line(now, f"{incident.state}: {_last(incident)}", tone)
        self._states[incident.id] = incident.state

    def _action(self, action: Action, now: float) -> Iterator[Line]:
        if self._actions.get(action.id) is action.state:
            return
        self._actions[action.id] = action.state
        if action.state not in _TELLING:
            return
        reason = f" ({action.reason})" if action.reason else ""
        what = f"{action.kind} {action.state}: {action.model}: {action.summary}{reason}"
        tone: Tone = "good" if action.state in _GOOD else "plain"
        yield Line(now, what, "ask" if action.state is ActionState.HELD else tone)


def _last(incident: Incident) -> str:
    said = incident.timeline[-1].text if incident.timeline else incident.title
    return f"{incident.model}: {said.removeprefix(f'{incident.state}: ')}"
